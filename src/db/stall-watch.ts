/** Notices that a server has fallen silent while it owes an answer. */
export interface StallWatch {
  /** A statement was sent. */
  begin(): void;
  /** A statement was answered, or given up. */
  end(): void;
  /** Bytes arrived. */
  heard(): void;
}

/**
 * Calls `onStall` when nothing was heard for `limitMs` while at least one statement was open. It counts ticks of a
 * timer and not time: a process that was stopped and continued, or a laptop that slept, starts where it left off.
 */
export function stallWatch(limitMs: number, onStall: () => void): StallWatch {
  const tickMs = Math.max(10, Math.min(1000, limitMs / 10));
  const limit = Math.ceil(limitMs / tickMs);
  let open = 0;
  let silentTicks = 0;
  let timer: NodeJS.Timeout | undefined;
  return {
    begin() {
      if (open++ === 0) {
        silentTicks = 0;
        timer = setInterval(() => {
          if (++silentTicks >= limit) {
            onStall();
          }
        }, tickMs);
      }
    },
    end() {
      if (--open === 0) {
        clearInterval(timer);
      }
    },
    heard() {
      silentTicks = 0;
    },
  };
}

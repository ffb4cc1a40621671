import { createServer, connect, type Server, type Socket, type AddressInfo } from 'node:net';
import { once } from 'node:events';

/** Where a proxy forwards to: a TCP port of this machine, or a Unix socket. */
export type Upstream = { readonly port: number } | { readonly path: string };

/** Stands between a client and a server, and fails on demand. */
export interface Proxy {
  readonly port: number;
  /** Connections that were accepted since the start. */
  readonly connections: number;
  /** Bytes that came from the server since the start. */
  readonly bytesFromServer: number;
  /** Ends all connections orderly (FIN). */
  cut(): void;
  /** Ends all connections with a reset (RST). */
  reset(): void;
  /** Forwards nothing any more, in both directions and on new connections; what arrives is swallowed. */
  stall(): void;
  /** From now on ends each connection right after accepting it. */
  refuse(): void;
  /** Forwards again, also on new connections. */
  resume(): void;
  /** Ends each connection with `how` as soon as it got so many bytes from the server. */
  failAfter(bytesFromServer: number, how: 'cut' | 'reset' | 'stall'): void;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/** Starts a proxy on a free port of 127.0.0.1. */
export async function startProxy(upstream: Upstream): Promise<Proxy> {
  const pairs = new Set<Pair>();
  let connections = 0;
  let bytesFromServer = 0;
  let mode: 'forward' | 'stall' | 'refuse' = 'forward';
  let failure: { after: number; how: 'cut' | 'reset' | 'stall' } | undefined;

  const listener = createServer((client) => {
    connections++;
    client.on('error', () => {});
    if (mode === 'refuse') {
      client.end();
      client.resume();
      return;
    }
    const server = connect(upstream);
    server.on('error', () => client.destroy());
    const pair = { client, server };
    pairs.add(pair);
    let received = 0;
    let isSilent = false;
    client.on('data', (bytes) => {
      if (mode === 'forward' && !isSilent) {
        server.write(bytes);
      }
    });
    server.on('data', (bytes) => {
      bytesFromServer += bytes.length;
      if (mode !== 'forward' || isSilent) {
        return;
      }
      const rest = (failure?.after ?? Infinity) - received;
      received += bytes.length;
      if (failure === undefined || bytes.length < rest) {
        client.write(bytes);
        return;
      }
      isSilent = true;
      const { how } = failure;
      client.write(bytes.subarray(0, Math.max(0, rest)), () => {
        if (how !== 'stall') {
          finish(pair, how);
        }
      });
    });
    client.on('close', () => {
      server.destroy();
      pairs.delete(pair);
    });
    server.on('close', () => {
      if (mode === 'forward' && !isSilent) {
        client.end();
      }
    });
  });

  function finish({ client, server }: Pair, how: 'cut' | 'reset'): void {
    if (how === 'cut') {
      client.destroy();
    } else {
      client.resetAndDestroy();
    }
    server.destroy();
  }

  const finishAll = (how: 'cut' | 'reset') => pairs.forEach((pair) => finish(pair, how));
  const close = async () => {
    finishAll('cut');
    if (listener.listening) {
      listener.close();
      await once(listener, 'close');
    }
  };
  return {
    port: await listen(listener),
    get connections() {
      return connections;
    },
    get bytesFromServer() {
      return bytesFromServer;
    },
    cut: () => finishAll('cut'),
    reset: () => finishAll('reset'),
    stall: () => (mode = 'stall'),
    refuse: () => (mode = 'refuse'),
    resume: () => (mode = 'forward'),
    failAfter: (after, how) => (failure = { after, how }),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Listens on a free port of 127.0.0.1 and returns it. */
export async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

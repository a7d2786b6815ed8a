// HTTP where anybody can ask, pods and strangers included: each connection costs the daemon a descriptor, of which TAPs
// and sockets need some, too.
import { createServer, type RequestListener, type Server } from 'node:http';

export interface PublicLimits {
  /** Connections at the same time; those beyond are closed. */
  readonly connections: number;
  /** Milliseconds for a request to arrive, for an answer to be taken, and between requests. */
  readonly patience: number;
}

const limits: PublicLimits = { connections: 128, patience: 10_000 };

/** A server for GET: whoever says nothing, reads nothing, or comes in crowds loses his connection. */
export function publicServer(
  listener: RequestListener,
  { connections, patience }: PublicLimits = limits,
): Server {
  const server = createServer(
    {
      headersTimeout: patience,
      requestTimeout: patience,
      keepAliveTimeout: patience,
      connectionsCheckingInterval: patience / 10,
      maxHeaderSize: 8 << 10,
    },
    listener,
  );
  server.maxConnections = connections;
  server.timeout = patience;
  return server;
}

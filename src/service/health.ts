// What a node answers on a Service's healthCheckNodePort, by which load balancers tell the nodes that have endpoints.
import type { CompiledService } from './compile.ts';

export interface HealthAnswer {
  /** HTTP. */
  readonly status: 200 | 503;
  readonly body: {
    readonly service: { readonly namespace: string; readonly name: string };
    readonly localEndpoints: number;
    readonly serviceProxyHealthy: boolean;
  };
}

/** Only ready endpoints count: those that drain still serve, but must get no new connections. */
export function healthAnswer({ key, localReady }: CompiledService, isProxyHealthy: boolean): HealthAnswer {
  const [namespace = '', name = ''] = key.split('/');
  return {
    status: localReady > 0 && isProxyHealthy ? 200 : 503,
    body: {
      service: { namespace, name },
      localEndpoints: localReady,
      serviceProxyHealthy: isProxyHealthy,
    },
  };
}

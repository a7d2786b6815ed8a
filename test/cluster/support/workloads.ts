// Objects of Kubernetes that run the tests' image.
import { image } from './image.ts';

/** @param args of `tool`; a pod that serves is ready when the kubelet reaches it */
export const podTemplate = (app: string, args: readonly string[], spec: object = {}) => ({
  metadata: { labels: { app } },
  spec: {
    terminationGracePeriodSeconds: 5,
    containers: [
      {
        name: 'tool',
        image,
        imagePullPolicy: 'Never',
        args,
        ...(args[0] === 'serve' && {
          readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 2, timeoutSeconds: 5 },
        }),
      },
    ],
    ...spec,
  },
});

const workload = (kind: string, app: string, spec: object, template: object) => ({
  apiVersion: 'apps/v1',
  kind,
  metadata: { name: app },
  spec: { selector: { matchLabels: { app } }, template, ...spec },
});

/** Its pods are spread over the nodes. */
export const deployment = (app: string, replicas: number, args: readonly string[]) =>
  workload(
    'Deployment',
    app,
    { replicas },
    podTemplate(app, args, {
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: 'kubernetes.io/hostname',
          whenUnsatisfiable: 'ScheduleAnyway',
          labelSelector: { matchLabels: { app } },
        },
      ],
    }),
  );

export const daemonSet = (app: string, args: readonly string[], pod: object = {}) =>
  workload('DaemonSet', app, {}, podTemplate(app, args, pod));

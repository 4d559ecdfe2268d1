import { z } from 'zod';
import { duration, port, variableName } from '../yaml/schema-values.ts';

const etcdTls = z
  .strictObject({
    caFile: z
      .string()
      .min(1)
      .optional()
      .describe('Authority that signed the certificate of etcd. Default: those that Node knows.'),
    certFile: z.string().min(1).optional().describe('Certificate to show to etcd. Needs `keyFile`.'),
    keyFile: z.string().min(1).optional().describe('Its key.'),
  })
  .meta({
    id: 'EtcdTls',
    description:
      'PEM files of the machine that starts dynamo; hosts get what is in them. One that is not there is looked for on each host.',
  });

const etcdPassword = z
  .union(
    [
      z.strictObject({ fromEnv: variableName.describe('Variable of the shell that starts dynamo.') }),
      z.strictObject({ fromFile: z.string().min(1).describe('File whose content, without the final newline, it is.') }),
    ],
    { error: 'a password is named, never written: { fromEnv: ETCD_PASSWORD } or { fromFile: ./password }' },
  )
  .meta({
    id: 'EtcdPassword',
    description: 'Where the password is: `{ fromEnv: ETCD_PASSWORD }` or `{ fromFile: ./password }`.',
  });

const managedEtcd = z
  .union([
    z.literal(true),
    z.strictObject({
      hosts: z
        .array(z.string().min(1))
        .min(1)
        .optional()
        .describe(
          'Hosts that run a member: one, three or five. Default: three of them when the deployment has as many, else the first.',
        ),
      port: port.optional().describe('Port for clients. Default: a free one from 2379 up.'),
      peerPort: port.optional().describe('Port for other members. Default: a free one from 2380 up.'),
      command: z.string().min(1).optional().describe('The program. Default: `etcd` on PATH.'),
    }),
  ])
  .meta({ id: 'ManagedEtcd', description: '`true`, or where it runs.' });

/** How frontends find workers. `check-discovery.ts` has the rules between these keys. */
export const discovery = z
  .strictObject({
    backend: z
      .enum(['file', 'etcd'])
      .prefault('file')
      .describe('Where workers are registered: `file` is a folder, `etcd` an etcd of version 3.4 or newer.'),
    ttl: duration.prefault('10s').describe('A worker that was not refreshed for this long counts as lapsed.'),
    root: z
      .string()
      .min(1)
      .optional()
      .describe('`file`: the folder. Several hosts must share it. Default: below the state folder of the deployment.'),
    endpoints: z
      .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
      .optional()
      .describe('`etcd`: its members, `http://10.0.0.1:2379`; a list, or one text with commas.'),
    prefix: z
      .string()
      .min(1)
      .optional()
      .describe('`etcd`: everything lies under PREFIX/DEPLOYMENT/. Default: `/dynamo`.'),
    tls: etcdTls.optional(),
    user: z.string().min(1).optional().describe('`etcd`: who to log in as. Needs `password`.'),
    password: etcdPassword.optional(),
    managed: managedEtcd
      .optional()
      .describe(
        '`etcd`: run it as part of the deployment, instead of `endpoints`. Its data goes when the deployment is stopped.',
      ),
  })
  .meta({ id: 'Discovery', description: 'How frontends find workers.' });

import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { DynamoError } from '../../base/errors.ts';
import { onHost } from '../host-places.ts';
import type { HostTransport } from '../host-transport.ts';
import { explainWrite } from '../ssh/ssh-upload.ts';
import { findKit, type Kit } from './find-kit.ts';
import { findNodeRuntime } from './node-runtime.ts';
import { type HostProbe, OLDEST_NODE, probeHost } from './probe-host.ts';

export interface InstallOptions {
  kitDir?: string | undefined;
  nodePath?: string | undefined;
  /** See `findNodeRuntime`. */
  nodeArchive?: string | undefined;
  /** Says what is being copied, and how far it is; `totalBytes` is 0 while it is being made ready here. */
  onProgress?: ((what: string, doneBytes: number, totalBytes: number) => void) | undefined;
}

/** dynamo as it can be run on a host. */
export interface InstalledKit {
  /** argv prefix, as `selfCommand` here. */
  selfCommand: [dynamo: string];
  probe: HostProbe;
}

/**
 * Makes sure that this dynamo and a Node that is new enough are on a host. What is there and whole stays; the rest is copied beside
 * its place, checked by checksum, and renamed, so that nobody ever sees half of it and two launchers may do it at once.
 * Throws `DISK_FULL` and `STATE_UNREADABLE` with host and folder.
 */
export async function installKit(transport: HostTransport, options: InstallOptions = {}): Promise<InstalledKit> {
  const kit = await findKit();
  const { kitDir, nodePath } = options;
  const probe = await probeHost(transport, { kitId: kit.id, kitDir, nodePath });
  const place = path.posix.join(probe.kitsDir, kit.id);
  const named = nodePath === undefined ? undefined : onHost(nodePath, probe.home);
  if (named !== undefined && probe.nodes[0]?.path !== named) {
    throw new DynamoError('COMMAND_NOT_FOUND', `${transport.host}: ${named} is not a Node ${OLDEST_NODE} or newer`, {
      hint: 'Correct nodePath in the hosts file, or leave it out: dynamo then brings one.',
    });
  }
  if (!probe.kitWhole) await copyKit(transport, kit, place, options);
  const link = path.posix.join(place, 'node');
  const node = probe.nodes[0]?.path ?? (await copyNode(transport, probe, options));
  if (node !== link) await settle(transport, LINK_NODE, node, link);
  return { selfCommand: [path.posix.join(place, 'dynamo')], probe };
}

async function copyKit(transport: HostTransport, kit: Kit, place: string, options: InstallOptions): Promise<void> {
  const temporary = path.posix.join(path.posix.dirname(place), `.new-${randomBytes(6).toString('hex')}`);
  try {
    await transport.upload(
      kit.files.map((file) => ({
        from: path.join(kit.dir, file),
        to: path.posix.join(temporary, file),
        mode: file.endsWith('.sh') || file === 'dynamo' ? 0o755 : 0o644,
      })),
      (done, total) => options.onProgress?.(`dynamo ${kit.id}`, done, total),
    );
    await settle(transport, SETTLE_KIT, temporary, place);
  } catch (error) {
    await transport.exec(['rm', '-rf', '--', temporary]).catch(() => {});
    throw error;
  }
}

async function copyNode(transport: HostTransport, probe: HostProbe, options: InstallOptions): Promise<string> {
  const runtime = await findNodeRuntime({
    ...{ arch: probe.arch, archive: options.nodeArchive },
    onPreparing: (id) => options.onProgress?.(id, 0, 0),
  });
  const place = path.posix.join(probe.kitsDir, runtime.id);
  const temporary = path.posix.join(probe.kitsDir, `.new-${randomBytes(6).toString('hex')}`);
  try {
    await transport.upload(
      [{ from: runtime.file, to: path.posix.join(temporary, 'node.gz'), mode: 0o600 }],
      (done, total) => options.onProgress?.(runtime.id, done, total),
    );
    await settle(transport, SETTLE_NODE, temporary, place);
  } catch (error) {
    await transport.exec(['rm', '-rf', '--', temporary]).catch(() => {});
    throw error;
  }
  return path.posix.join(place, 'node');
}

/** Exit status of the scripts below where Node does not run. */
const NODE_DOES_NOT_RUN = 70;

async function settle(transport: HostTransport, script: string, from: string, place: string): Promise<void> {
  const answer = await transport.exec(['/bin/sh', '-c', script, 'settle', from, place], { timeoutMs: 120_000 });
  if (answer.code === 0) return;
  if (answer.code === NODE_DOES_NOT_RUN) {
    throw new DynamoError('HOST_UNREACHABLE', `${transport.host}: the Node that dynamo brings does not run there`, {
      hint: `It needs glibc 2.28 or newer. Install a Node ${OLDEST_NODE} or newer there and name it with nodePath, or give another with --node-archive.`,
      details: answer.stderr.split('\n').filter(Boolean).slice(0, 5),
    });
  }
  throw explainWrite(transport.host, path.posix.dirname(place), answer.stderr || 'the checksums are wrong');
}

/** What is in the way is broken (it was looked at), or was put there a moment ago by somebody else, and then is as good. */
const PLACE = `if ! mv -T "$1" "$2" 2>/dev/null; then
  old=$2.old-$$
  mv -T "$2" "$old" 2>/dev/null
  mv -T "$1" "$2" || exit 1
  rm -rf "$old"
fi`;

/** Also clears away what launchers that were killed while copying have left. */
const SETTLE_KIT = `find "\${2%/*}" -maxdepth 1 -name '.new-*' -mmin +1440 -exec rm -rf {} + 2>/dev/null
(cd "$1" && sha256sum -c SHA256SUMS >&2) || exit 1
if (cd "$2" 2>/dev/null && sha256sum -c SHA256SUMS >/dev/null 2>&1); then rm -rf "$1"; exit 0; fi
[ ! -h "$2/node" ] || cp -P "$2/node" "$1/node" || exit 1
${PLACE}`;

const LINK_NODE = 'ln -s "$1" "$2.new-$$" && mv -fT "$2.new-$$" "$2"';

const SETTLE_NODE = `gunzip "$1/node.gz" && chmod 755 "$1/node" || exit 1
"$1/node" --version >/dev/null || exit ${NODE_DOES_NOT_RUN}
if "$2/node" --version >/dev/null 2>&1; then rm -rf "$1"; exit 0; fi
${PLACE}`;

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installKit } from '../../../src/hosts/kit/install-kit.ts';
import { SSH_TIMES } from '../../../src/hosts/ssh/ssh-connect.ts';
import type { SshTarget } from '../../../src/hosts/ssh/ssh-target.ts';
import { SshTransport, type SshTransportOptions } from '../../../src/hosts/ssh/ssh-transport.ts';
import type { TestHost } from '../../helpers/test-host.ts';
import { hasTestHosts, makeKey, TestHosts } from '../../helpers/test-hosts.ts';
import { waitFor } from '../../helpers/until.ts';

/** As the product has them: nothing healthy may look dead here because the machine stood still for a moment. */
const TIMES = SSH_TIMES;
/** Where a loss is waited for. */
const QUICK = { ...SSH_TIMES, keepaliveMs: 300 };
/** How long somebody who says nothing is waited for: longer than a machine that stands still for a moment. */
const SILENT_MS = 5_000;

/** What goes wrong between this machine and a host, and what a stranger is told. */
describe.skipIf(!hasTestHosts)('SSH faults', () => {
  let hosts: TestHosts;
  let one: TestHost;
  let two: TestHost;
  beforeAll(async () => {
    hosts = await TestHosts.start(2);
    [one, two] = hosts.hosts as [TestHost, TestHost];
  });
  afterAll(() => hosts?.[Symbol.asyncDispose]());

  const connect = (more: Partial<SshTarget> = {}, options: SshTransportOptions = { times: TIMES }) =>
    SshTransport.connect({ ...hosts.entry(one), ...more }, options);
  const refusal = async (
    more: Partial<SshTarget> = {},
    connectMs = TIMES.connectMs,
  ): Promise<{ message: string; hint: string; details: string[] }> => {
    try {
      await using transport = await connect(more, { times: { ...TIMES, connectMs } });
      throw new Error(`it let us in: ${transport.host}`);
    } catch (error) {
      expect(error).toMatchObject({ code: 'HOST_UNREACHABLE' });
      return error as { message: string; hint: string; details: string[] };
    }
  };
  const works = async (more: Partial<SshTarget> = {}, options?: SshTransportOptions) => {
    await using transport = await connect(more, options);
    return (await transport.exec(['hostname'])).stdout.toString().trim();
  };

  it('IPv6', async () => {
    expect(await works({ address: one.address6 })).toBe('host-1');
  });

  it('a jump host, and one that cannot go on', async () => {
    const jump = { ...hosts.entry(two), name: 'gate' };
    expect(await works({ jump })).toBe('host-1');
    await two.reconfigure(['AllowTcpForwarding no']);
    const { message, hint } = await refusal({ jump });
    expect(message).toContain('host-1: the jump host does not get to');
    expect(hint).toContain('AllowTcpForwarding');
    await two.reconfigure([]);
  });

  it('settings of ~/.ssh/config', async () => {
    const home = hosts.file('home');
    execFileSync('mkdir', ['-p', `${home}/.ssh/more`]);
    writeFileSync(`${home}/.ssh/config`, 'Include more/*.conf\nHost *\n  Port 1\n');
    writeFileSync(
      `${home}/.ssh/more/a.conf`,
      `Host gpu-*\n  HostName ${one.address}\n  Port 22\n  IdentityFile ${hosts.key}\n  UserKnownHostsFile ${hosts.knownHosts}\n`,
    );
    const user = { home, name: one.user, env: {}, systemConfig: '/nonexistent', systemKnownHosts: [] };
    await using transport = await SshTransport.connect({ name: 'gpu', address: 'gpu-1' }, { user });
    expect((await transport.exec(['hostname'])).stdout.toString()).toBe('host-1\n');
  });

  describe('a ProxyCommand of ~/.ssh/config', () => {
    /** A program that connects its standard input and output with the SSH port of the host, writes its pid, and talks. */
    const program = (): { script: string; pids: () => number[] } => {
      const pidFile = hosts.file('proxy.pids', '');
      const text = `
        import { appendFileSync } from 'node:fs';
        import net from 'node:net';
        const [host, port, mode] = process.argv.slice(2);
        appendFileSync(${JSON.stringify(pidFile)}, process.pid + "\\n");
        console.error('asking the gate for', host);
        if (mode === 'refused') { console.error('the gate says: not you'); process.exit(7); }
        if (mode === 'silent') setInterval(() => {}, 1000);
        else {
          const socket = net.connect(Number(port), host);
          process.stdin.pipe(socket).pipe(process.stdout);
          socket.on('close', () => process.exit(0));
        }`;
      const script = hosts.file('proxy.mjs', text);
      return { script, pids: () => readFileSync(pidFile, 'utf8').split('\n').filter(Boolean).map(Number) };
    };
    const userWith = (config: string, shell = '/bin/sh') => {
      const home = hosts.file(`proxy-home-${config.length}`);
      execFileSync('mkdir', ['-p', `${home}/.ssh`]);
      const common = `  IdentityFile ${hosts.key}\n  UserKnownHostsFile ${hosts.knownHosts}\n  Port 22\n`;
      writeFileSync(`${home}/.ssh/config`, `${config}\nHost *\n${common}`);
      return { home, name: one.user, env: { SHELL: shell }, systemConfig: '/none', systemKnownHosts: [] };
    };
    const node = process.execPath;
    const alive = (pid: number) =>
      existsSync(`/proc/${pid}/stat`) && !/ Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    const explained = async (connecting: Promise<SshTransport>) => {
      const error = await connecting.then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error).toMatchObject({ code: 'HOST_UNREACHABLE' });
      return error as { message: string; hint: string; details: string[] };
    };

    it('carries commands, uploads and sockets, and ends with the connection', async () => {
      const { script, pids } = program();
      const user = userWith(`Host far\n  HostName ${one.address}\n  ProxyCommand ${node} "${script}" '%h' %p`);
      const transport = await SshTransport.connect({ name: 'far', address: 'far' }, { user, times: TIMES });
      expect((await transport.exec(['hostname'])).stdout.toString()).toBe('host-1\n');
      const big = hosts.file('big', 'x'.repeat(3_000_000));
      await transport.upload([{ from: big, to: '/tmp/big', mode: 0o600 }]);
      expect((await transport.exec(['wc', '-c', '/tmp/big'])).stdout.toString()).toBe('3000000 /tmp/big\n');
      const [pid] = pids();
      expect(alive(pid!)).toBe(true);
      await transport[Symbol.asyncDispose]();
      await waitFor('the end of the command', () => !alive(pid!));
    });

    it('goes on to the next host where it stands for the jump host', async () => {
      const { script } = program();
      const user = userWith(`Host gate\n  HostName ${two.address}\n  ProxyCommand ${node} ${script} %h %p`);
      const target = { ...hosts.entry(one), jump: { name: 'gate', address: 'gate' } };
      await using transport = await SshTransport.connect(target, { user, times: TIMES });
      expect((await transport.exec(['hostname'])).stdout.toString()).toBe('host-1\n');
    });

    it('that ends is named with its status and what it said; the link is lost when it dies', async () => {
      const { script, pids } = program();
      const target = { name: 'far', address: 'far' };
      const refusing = userWith(`Host far\n  HostName ${one.address}\n  ProxyCommand ${node} ${script} %h %p refused`);
      const refused = await explained(SshTransport.connect(target, { user: refusing, times: TIMES }));
      expect(refused.message).toBe('far: its ProxyCommand ended with status 7');
      expect(refused.details).toEqual([`asking the gate for ${one.address}`, 'the gate says: not you']);
      expect(refused.hint).toContain(`${script} ${one.address} 22 refused`);

      const missing = userWith('Host far\n  ProxyCommand no-such-program %h');
      const { message, details } = await explained(SshTransport.connect(target, { user: missing, times: TIMES }));
      expect(message).toBe('far: its ProxyCommand ended with status 127');
      expect(details.join()).toContain('no-such-program');

      const working = userWith(`Host far\n  HostName ${one.address}\n  ProxyCommand ${node} ${script} %h  %p`);
      const transport = await SshTransport.connect(target, { user: working, times: TIMES });
      process.kill(pids().at(-1)!, 'SIGKILL');
      await waitFor('the loss of the link', () => transport.lost.aborted);
      expect(String(transport.lost.reason)).toContain('its ProxyCommand ended with SIGKILL');
      await transport[Symbol.asyncDispose]();
    });

    it('that says nothing is waited for no longer than a host, and leaves nothing', async () => {
      const { script, pids } = program();
      // Through a shell of its own, which must go too.
      const user = userWith(`Host far\n  ProxyCommand sh -c '${node} ${script} %h %p silent; true'`);
      const times = { ...TIMES, connectMs: SILENT_MS };
      const { message, hint } = await explained(SshTransport.connect({ name: 'far', address: 'far' }, { user, times }));
      expect(message).toContain('waited 5 s for the greeting');
      expect(hint).toContain('does its ProxyCommand get there?');
      await waitFor('the end of the command', () => pids().every((pid) => !alive(pid)));
    });

    it('is refused where a shell would read more than names from it', async () => {
      const user = userWith(`Host far\n  ProxyUseFdpass yes\n  ProxyCommand nc -F %h`);
      const fdpass = await explained(SshTransport.connect({ name: 'far', address: 'far' }, { user }));
      expect(fdpass.message).toMatch(/ProxyUseFdpass\) \(.*config:3\)$/);
      const evil = userWith('Host far\n  User $(touch /tmp/evil)\n  ProxyCommand nc %r %h %p');
      const refused = await explained(SshTransport.connect({ name: 'far', address: 'far' }, { user: evil }));
      expect(refused.message).toContain('cannot stand in a ProxyCommand');
    });

    it('may depend on a Match exec, which is run', async () => {
      const { script } = program();
      const flag = hosts.file('inside');
      const user = userWith(
        `Match originalhost far exec "test -e ${flag}"\n  HostName ${one.address}\n  ProxyCommand ${node} ${script} %h %p\n` +
          `Match originalhost far\n  HostName ${two.address}`,
      );
      const name = async () => {
        await using transport = await SshTransport.connect({ name: 'far', address: 'far' }, { user, times: TIMES });
        return (await transport.exec(['hostname'])).stdout.toString().trim();
      };
      expect(await name()).toBe('host-2');
      writeFileSync(flag, '');
      expect(await name()).toBe('host-1');
    });
  });

  it('an agent', async () => {
    const socket = hosts.file('agent.sock');
    const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
    try {
      const env = { ...process.env, SSH_AUTH_SOCK: socket };
      await waitFor('ssh-agent', () => spawnSync('ssh-add', [hosts.key], { env }).status === 0);
      const { identityFile: _, ...target } = hosts.entry(one);
      const user = { home: '/nonexistent', name: one.user, env: {}, systemConfig: '/none', systemKnownHosts: [] };
      await using transport = await SshTransport.connect({ ...target, identityAgent: socket }, { user });
      expect((await transport.exec(['hostname'])).stdout.toString()).toBe('host-1\n');
    } finally {
      agent.kill('SIGKILL');
    }
  });

  it('a key that others can read, that is missing, that has a passphrase, that is refused', async () => {
    const open = hosts.file('open-key');
    copyFileSync(hosts.key, open);
    chmodSync(open, 0o644);
    expect(await refusal({ identityFile: open })).toMatchObject({
      message: `host-1: the key file ${open} can be read by others (mode 0644)`,
      hint: `A private key must be yours alone: \`chmod 600 ${open}\``,
    });
    expect((await refusal({ identityFile: '/no/key' })).message).toContain('there is no key file /no/key');
    const locked = hosts.file('locked-key');
    makeKey(locked, 'a passphrase');
    expect((await refusal({ identityFile: locked, identityAgent: 'none' })).hint).toContain(`ssh-add ${locked}`);
    const strange = hosts.file('strange-key');
    makeKey(strange);
    const refused = await refusal({ identityFile: strange, identityAgent: 'none' });
    expect(refused.message).toContain('refused every key');
    expect(refused.hint).toContain('authorized_keys');
    expect(refused.details).toContain(`offered the key ${strange}`);
  });

  it('a host key that is unknown, hashed, changed, revoked', async () => {
    const empty = hosts.file('empty', '');
    const unknown = await refusal({ knownHosts: empty });
    expect(unknown.message).toMatch(/host key of \S+ is not known: ssh-ed25519 SHA256:/);
    expect(unknown.hint).toContain(`ssh-keyscan ${one.address} >> ${empty}`);

    const hashed = hosts.file('hashed', one.knownHostsLines());
    execFileSync('ssh-keygen', ['-q', '-H', '-f', hashed], { stdio: 'pipe' });
    expect(readFileSync(hashed, 'utf8')).not.toContain(one.address);
    expect(await works({ knownHosts: hashed })).toBe('host-1');

    const revoked = hosts.file(
      'revoked',
      `${one.knownHostsLines()}@revoked * ${one.knownHostsLines().split(' ').slice(1, 3).join(' ')}`,
    );
    expect((await refusal({ knownHosts: revoked })).message).toContain('is revoked');

    const old = hosts.file('old', two.knownHostsLines().replaceAll(two.address, one.address));
    const changed = await refusal({ knownHosts: old });
    expect(changed.message).toContain(`has changed`);
    expect(changed.message).toContain(`${old}:1`);
    expect(changed.hint).toContain(`ssh-keygen -R '${one.address}' -f ${old} && ssh-keyscan ${one.address} >> ${old}`);
    // The fix that the hint gives is the fix.
    execFileSync('/bin/sh', ['-c', /`(ssh-keygen[^`]+)`/.exec(changed.hint)![1]!], { stdio: 'pipe' });
    expect(await works({ knownHosts: old })).toBe('host-1');
  });

  it('nobody there, nobody listening, no SSH behind the port, no such name', async () => {
    expect((await refusal({ port: 2 })).message).toContain('nothing listens on port 2');
    expect((await refusal({ address: 'no-such-host.invalid' })).message).toMatch(
      /name no-such-host.invalid is not known/,
    );
    const silent = net.createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as net.AddressInfo;
    two.wire('cut');
    const [mute, lost] = await Promise.all([
      refusal({ address: '127.0.0.1', port }, SILENT_MS),
      refusal({ address: two.address }, SILENT_MS),
    ]);
    two.wire('whole');
    silent.close();
    expect(mute.message).toContain('waited 5 s for the greeting');
    expect(lost.message).toMatch(/waited 5 s for a TCP connection|no way to/);
  });

  it('a login shell that prints and a shell that is none', async () => {
    one.run('printf "echo; echo WELCOME; echo banner >&2\\n" > ~/.bashrc');
    await using transport = await connect();
    const answer = await transport.exec(['/bin/sh', '-c', 'echo out; echo err >&2']);
    expect([answer.stdout.toString(), answer.stderr]).toEqual(['out\n', 'err\n']);
    one.run('rm ~/.bashrc');
    await one.reconfigure(['ForceCommand echo This account is for transfers only.']);
    await using forced = await connect();
    const error = await forced.exec(['true']).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: 'HOST_UNREACHABLE', details: ['This account is for transfers only.'] });
    await one.reconfigure([]);
  });

  it.each([
    { name: 'one session at a time', sshd: ['MaxSessions 1'] },
    { name: 'no forwarding', sshd: ['AllowStreamLocalForwarding no'] },
    {
      name: 'one session at a time and no forwarding',
      sshd: ['MaxSessions 1', 'AllowStreamLocalForwarding no', 'DisableForwarding yes'],
    },
    { name: 'no SFTP', sshd: ['Subsystem sftp /bin/false'] },
  ])('a server that allows $name', async ({ sshd }) => {
    await one.reconfigure(sshd);
    await using transport = await connect();
    const { selfCommand } = await installKit(transport);
    transport.bridgeBy([...selfCommand, 'bridge']);
    one.run(
      `rm -f /tmp/e.sock; setsid node -e "require('net').createServer((s) => s.pipe(s)).listen('/tmp/e.sock')" >/dev/null 2>&1 </dev/null & echo $! >/tmp/e.pid; while ! [ -S /tmp/e.sock ]; do sleep 0.02; done`,
    );
    await expect(transport.connectSocket('/tmp/none.sock')).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
    const streams = await Promise.all([transport.connectSocket('/tmp/e.sock'), transport.connectSocket('/tmp/e.sock')]);
    for (const [index, stream] of streams.entries()) {
      stream.write(`hello ${index}`);
      expect(String((await once(stream, 'data'))[0])).toBe(`hello ${index}`);
    }
    const answers = await Promise.all(
      Array.from({ length: 6 }, (_, index) => transport.exec(['/bin/sh', '-c', `sleep 0.02; echo ${index}`])),
    );
    expect(answers.map(({ stdout }) => Number(stdout))).toEqual([0, 1, 2, 3, 4, 5]);
    for (const stream of streams) stream.destroy();
    one.run('kill -KILL $(cat /tmp/e.pid)');
    await one.reconfigure([]);
  });

  it('a link that is cut is noticed, and whoever waits is told', async () => {
    await using transport = await connect({}, { times: QUICK });
    const waiting = transport.exec(['sleep', '600']);
    waiting.catch(() => {});
    one.wire('cut');
    try {
      await expect(waiting).rejects.toMatchObject({
        code: 'HOST_UNREACHABLE',
        message: expect.stringContaining('no sign of life'),
      });
      expect(transport.lost.aborted).toBe(true);
    } finally {
      one.wire('whole');
    }
  });

  it('a host that is gone is noticed', async () => {
    await using transport = await connect({}, { times: QUICK });
    await one.kill();
    await waitFor('the loss', () => transport.lost.aborted);
    await one.up();
    expect(await works()).toBe('host-1');
  });
});

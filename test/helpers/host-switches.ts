/**
 * `command` of simulated workers on test hosts: the mocker of the kit there. It does not come up while `/tmp/hang` is on its host, and ends at
 * once when `/tmp/poison` is.
 */
export const SWITCHED_MOCKER = `[sh, -c, '[ -e /tmp/poison ] && { echo poisoned; exit 7; }; while [ -e /tmp/hang ]; do sleep 0.05; done; exec ~/.local/share/dynamo/kits/*/dynamo "$@"', sh]`;

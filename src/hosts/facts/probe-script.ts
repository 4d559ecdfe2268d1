import { GPU_HOLDERS, SHELL_HELPERS } from './gpu-holders-script.ts';

/** Engines the probe looks for: program, and the Python package whose version is the engine's (null: the program is asked). */
export const PROBED_ENGINES = [
  { program: 'vllm', distribution: 'vllm' },
  { program: 'sglang', distribution: 'sglang' },
  { program: 'trtllm-serve', distribution: 'tensorrt_llm' },
  { program: 'llama-server', distribution: null },
] as const;

/** Packages beside an engine whose versions must agree between hosts. */
const COMPANIONS = ['nixl', 'nixl_cu12', 'nixl_cu13', 'torch', 'lmcache', 'mooncake_transfer_engine'];

/**
 * The probe: one script for any POSIX sh, run as `sh -s -- BOOT NODE PROGRAM…` with itself on standard input. Prints sections that
 * begin with `@@name`; `@@done` comes last. Nothing in it needs root, writes anything, or imports an engine. BOOT is the boot id
 * for which the GPU topology is known already (asking for it takes seconds on large hosts), or `-`; NODE is
 * the Node to look for.
 */
export const PROBE_SCRIPT = `
LC_ALL=C; export LC_ALL
${SHELL_HELPERS}${GPU_HOLDERS}
line() { REPLY=; [ -r "$1" ] && read -r REPLY <"$1" 2>/dev/null; printf '%s' "$REPLY"; }

basics() {
  printf 'system %s\\nkernel %s\\narch %s\\nhostname %s\\n' "$(uname -s)" "$(uname -r)" "$(uname -m)" "$(uname -n)"
  printf 'home %s\\nuser %s\\n' "$HOME" "$(id -un 2>/dev/null)"
  printf 'shell %s\\n' "$( (getent passwd "$(id -u)" || grep "^$(id -un):" /etc/passwd) 2>/dev/null | head -n 1 | cut -d: -f7)"
  printf 'cpus %s\\n' "$( (nproc || getconf _NPROCESSORS_ONLN) 2>/dev/null)"
  printf 'libc %s\\n' "$(getconf GNU_LIBC_VERSION 2>/dev/null || ldd --version 2>&1 | head -n 1)"
  printf 'os %s\\n' "$( (. /etc/os-release && printf '%s' "$PRETTY_NAME") 2>/dev/null)"
  printf 'ssh %s\\n' "\${SSH_CONNECTION:-}"
  printf 'files %s\\nlocked %s\\n' "$(ulimit -n 2>/dev/null)" "$(ulimit -l 2>/dev/null)"
  grep -E '^(MemTotal|MemAvailable):' /proc/meminfo 2>/dev/null
}

disks() {
  for folder in "$HOME" /tmp /dev/shm; do
    [ -d "$folder" ] || continue
    printf '%s|' "$folder"; df -Pk "$folder" 2>/dev/null | tail -n 1
  done
}

numa() {
  for node in /sys/devices/system/node/node[0-9]*; do
    [ -d "$node" ] || continue
    printf '%s|%s|%s\\n' "\${node##*/node}" "$(cat "$node/cpulist" 2>/dev/null)" "$(sed -n 's/.*MemTotal: *//p' "$node/meminfo" 2>/dev/null)"
  done
}

# name|state|Mbit/s|MTU|NUMA node|physical
interfaces() {
  for nic in /sys/class/net/*; do
    [ -e "$nic/operstate" ] || continue
    if [ -e "$nic/device" ]; then physical=yes; else physical=no; fi
    speed=$(cat "$nic/speed" 2>/dev/null)
    printf '%s|%s|%s|%s|%s|%s\\n' "\${nic##*/}" "$(line "$nic/operstate")" "$speed" "$(line "$nic/mtu")" "$(line "$nic/device/numa_node")" "$physical"
  done
}

# device|port|state|physical state|rate|link layer|NUMA node|network device
rdma() {
  for port in /sys/class/infiniband/*/ports/[0-9]*; do
    [ -d "$port" ] || continue
    device=\${port%/ports/*}
    netdev=
    for net in "$device"/device/net/*; do [ -e "$net" ] && netdev=\${net##*/}; done
    printf '%s|%s|%s|%s|%s|%s|%s|%s\\n' "\${device##*/}" "\${port##*/}" "$(line "$port/state")" "$(line "$port/phys_state")" \\
      "$(line "$port/rate")" "$(line "$port/link_layer")" "$(line "$device/device/numa_node")" "$netdev"
  done
}

addresses() {
  (PATH="$PATH:/usr/sbin:/sbin"; ip -o addr show scope global) 2>/dev/null
}

routes() {
  (PATH="$PATH:/usr/sbin:/sbin"; ip -o route show default; ip -6 -o route show default) 2>/dev/null
}

gpus() {
  have nvidia-smi || { section gpu-absent; return; }
  section gpus
  said=$(limited 20 nvidia-smi --query-gpu=index,uuid,pci.bus_id,memory.total,memory.used,driver_version,name --format=csv,noheader,nounits 2>&1)
  status=$?
  if [ "$status" -ne 0 ]; then section gpu-failed; printf '%s\\n' "$status" "$said" | head -n 5; return; fi
  printf '%s\\n' "$said"
  section gpu-numa
  for device in /sys/bus/pci/devices/*; do
    [ "$(line "$device/vendor")" = 0x10de ] && printf '%s|%s\\n' "\${device##*/}" "$(line "$device/numa_node")"
  done
  gpu_apps
  gpu_locks
  [ "$1" = "$2" ] && return
  section topology
  limited 60 nvidia-smi topo -m 2>/dev/null
}

# What lies beside a program of a Python environment: NAME-VERSION.dist-info, one a line.
packages() {
  real=$(readlink -f "$1" 2>/dev/null || printf '%s' "$1")
  interpreter=
  case $(head -c 2 "$real" 2>/dev/null | tr -d '\\000') in
    '#!') read -r interpreter <"$real"; interpreter=\${interpreter#'#!'}; interpreter=\${interpreter%% *} ;;
  esac
  for root in "\${1%/*/*}" "\${real%/*/*}" "\${interpreter%/*/*}"; do
    [ -n "$root" ] || continue
    for site in "$root"/lib/python3*/site-packages "$root"/lib/python3*/dist-packages; do
      [ -d "$site" ] || continue
      for name in "$2" ${COMPANIONS.join(' ')}; do
        for found in "$site/$name"-*.dist-info; do [ -d "$found" ] && printf '%s\\n' "\${found##*/}"; done
      done
    done
  done | sort -u
}

engines() {
${PROBED_ENGINES.map(({ program, distribution }) => `  engine ${program} ${distribution ?? '-'}`).join('\n')}
}
engine() {
  file=$(command -v "$1" 2>/dev/null) || return
  printf '%s|%s\\n' "$1" "$file"
  if [ "$2" = - ]; then limited 10 "$file" --version 2>&1 | head -n 5; else packages "$file" "$2"; fi
}

main() {
  known=$1 node=$2; shift 2
  case $node in '~/'*) node=$HOME/\${node#??} ;; esac
  section began; date +%s.%N
  boot=$(line /proc/sys/kernel/random/boot_id)
  section boot; printf '%s\\n' "$boot"
  section basics; basics
  section disks; disks
  section numa; numa
  section interfaces; interfaces
  section rdma; rdma
  section addresses; addresses
  section routes; routes
  section listening; cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep ' 0A '
  section ephemeral; cat /proc/sys/net/ipv4/ip_local_port_range 2>/dev/null
  section node; node=$(command -v "$node" 2>/dev/null) && printf '%s|%s\\n' "$node" "$(limited 10 "$node" --version 2>/dev/null)"
  section programs
  for program; do printf '%s|%s\\n' "$program" "$(command -v "$program" 2>/dev/null)"; done
  section engines; engines
  gpus "$known" "$boot"
  section ended; date +%s.%N
  section done
}
main "$@" </dev/null
`;

"""The ``docker`` that commands find on a local container instance."""

DOCKER = """#!/bin/sh
# docker exec into the folders of the containers on this host; nothing else.
if [ "$1" != exec ]; then echo "docker: '$1' is not a docker command." >&2; exit 1; fi
shift
while :; do
  case "$1" in
    -i|-t|-it|-ti|--interactive|--tty) shift ;;
    -u|--user) shift 2 ;;
    -*) echo "unknown flag: $1" >&2; exit 125 ;;
    *) break ;;
  esac
done
id=$1; shift
home=$CONTAINERS/$id
if [ ! -f "$home.env" ]; then echo "Error response from daemon: No such container: $id" >&2; exit 1; fi
# A session of its own, as a container's process has: a signal to its group does not reach the host's shell.
cd "$home" && exec setsid --wait env -i /bin/sh -c '. "$0"
command -v "$1" >/dev/null || {
  echo "OCI runtime exec failed: exec failed: unable to start container process:" \\
    "exec: \\"$1\\": executable file not found in \\$PATH: unknown" >&2
  exit 127
}
exec "$@"' "$home.env" "$@"
"""

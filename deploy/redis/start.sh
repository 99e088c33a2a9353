#!/bin/sh
# Starts Redis as Onhand's cache, with the account of users.acl and no other. Arguments are settings of redis-server.
#
#   REDIS_PASSWORD=… REDIS_DIRECTORY=/data deploy/redis/start.sh --port 6379
set -eu
: "${REDIS_PASSWORD:?the password of the account onhand; make one with: openssl rand -hex 32}"
directory=${REDIS_DIRECTORY:-/data}
hash=$(printf %s "$REDIS_PASSWORD" | sha256sum | cut -d ' ' -f 1)
umask 077
{
	echo "user default off"
	sed "s/^user onhand on /&#$hash /" "$(dirname "$0")/users.acl"
} >"$directory/users.acl"
# A full Redis that may not evict refuses the script that sets and publishes; evicting a cold key costs one database read,
# and channels are not keys.
# The compact field of a product with a title or several locations is longer than the default of 64 bytes. Up to 256 Redis
# keeps the hash in one piece of memory: 210 bytes in place of 580.
# A snapshot would bring yesterday's stock back: after a restart the cache fills itself from Postgres.
exec redis-server --aclfile "$directory/users.acl" --dir "$directory" \
	--maxmemory "${REDIS_MEMORY:-256mb}" --maxmemory-policy allkeys-lru \
	--hash-max-listpack-value 256 \
	--save "" --appendonly no "$@"

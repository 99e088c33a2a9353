#!/bin/sh
# Downloads the pinned third-party files of the playground and writes their licence
# notices. Run it after changing a version below. Needs npm and node.
set -eu

graphiql=4.1.2
react=18.2.0

cd "$(dirname "$0")"
into=$PWD/third_party
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# GraphiQL's bundle contains graphql-ws and the fonts, but does not list them as
# dependencies. They are installed for their licence texts only.
echo '{"private": true}' >"$work/package.json"
npm install --silent --ignore-scripts --no-audit --no-fund --prefix "$work" \
	"graphiql@$graphiql" "react@$react" "react-dom@$react" graphql@16 graphql-ws@6 \
	@fontsource/roboto@5.0.0 @fontsource/fira-code@5.0.0

mkdir -p "$into"
modules=$work/node_modules
cp "$modules/graphiql/graphiql.min.js" "$modules/graphiql/graphiql.min.css" "$into/"
cp "$modules/react/umd/react.production.min.js" "$modules/react-dom/umd/react-dom.production.min.js" "$into/"
chmod 644 "$into"/*
node notices.mjs "$modules" >"$into/NOTICES.txt"

# The files must be the published ones, byte for byte.
(cd "$into" && sha256sum --check --quiet SHA256SUMS)

#!/usr/bin/env bash
# Makes Generated/event.pb.swift from event.proto. Needed only after a change of event.proto.
# Needs protoc (Debian: protobuf-compiler); protoc-gen-swift is built from the resolved swift-protobuf, which takes about ten minutes.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
package=$here
while [ ! -f "$package/Package.swift" ]; do package=$(dirname "$package"); done
swift package --package-path "$package" resolve
plugin_build=$package/.build/protoc-gen-swift
swift build -c release --package-path "$package/.build/checkouts/swift-protobuf" --scratch-path "$plugin_build" \
  --product protoc-gen-swift
mkdir -p "$here/Generated"
protoc --proto_path="$here" --plugin="$plugin_build/release/protoc-gen-swift" \
  --swift_opt=Visibility=Internal --swift_out="$here/Generated" event.proto

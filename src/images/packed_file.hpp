// Packed files: what a sparse file holds, without its holes, as one stream of bytes that travels and is hashed
// (docs/formats/frozen-state.md). Integers are of 64 bits, little endian:
//
//   "NURPACK1"  size of the file  number of extents n  n × (offset, length)  the data of the extents, in their order
//
// Pages of zeros that the file holds as data are data; whoever writes it leaves holes for them.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "images/byte_source.hpp"

namespace nuraghe::images {

// Where the data of a plain file is now: the packed form up to the data. File systems answer this differently while
// they write back what is dirty, so who packs a file twice keeps it.
Result<std::string> layout_of(const std::string& path);
// A plain file as a packed one of this layout, made while it is read. It must stay as it is. Reads go to the file:
// nothing is kept. kCorrupt when the layout is none, or that of a file of another size.
Result<std::unique_ptr<ByteSource>> pack_file(const std::string& path, const std::string& layout);

// The inverse: makes the file at `path` (mode 0600), fsynced, of a packed one that comes piece by piece, "" at its end.
// kCorrupt for what is no packed file, kExhausted when it would be larger than `limit`; then no file is left.
Status unpack_file(const std::string& path, Bytes limit, const std::function<Result<std::string>()>& next);

}  // namespace nuraghe::images

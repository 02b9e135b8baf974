// The rules of the folder table in docs/architecture.md, checked on the text of the sources: who
// may include whom, what is listed in a CMakeLists.txt, how long a file may be. Pure functions on a
// tree in memory, so that they can be tested.
#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace pawl::layering {

// Path relative to the repository ("src/core/rng.h") -> contents.
using Tree = std::map<std::string, std::string>;

// Sources, headers, CMakeLists.txt, .cmake files and the fuzz runner below src/, kernels/, tests/,
// bench/ and examples/.
Tree ReadTree(const std::filesystem::path& root);

// One line per violation, "file:line: what", sorted by file; empty when all is well:
//   - a quoted include that is not "folder/file" of the tree, goes up or sideways in the layers, or
//   an unknown folder
//   - core/log.h outside train/ and cli/: libraries return values and throw
//   - a torch header in layers 0 and 1; <torch/torch.h> outside a .cc file
//   - a source file that no CMakeLists.txt in its folder or above lists (tests/fuzz: the script
//   `run`)
//   - a file over 600 lines, a header over 200
std::vector<std::string> Violations(const Tree& tree);

}  // namespace pawl::layering

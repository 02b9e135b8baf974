// Runs a parsed template with the caller's values. One evaluator is one rendering; the tree is only
// read, so any number may run on it at once.
#pragma once
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja_runtime.h"
#include "text/jinja_tree.h"

namespace pawl::text::jinja {

// What a {% generation %} block wrote. In the template itself: bytes of the output. In a macro or
// a block that is printed later, as transformers counts it: characters from where the output was
// when the block ran.
struct GenerationRange {
  bool in_bytes = true;
  size_t begin = 0, end = 0;
};

struct Output {
  std::string text;
  std::vector<GenerationRange> generations;
};

// `variables`: later ones of the same name win. Throws UserError.
Output Evaluate(const Tree& tree, Runtime& runtime, std::span<const Named> variables);

}  // namespace pawl::text::jinja

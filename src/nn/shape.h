// One legend of dimensions for the whole project, and the macro that checks them at public
// functions.
//   B environments or sequences   T time steps      S tokens      V vocabulary    D width
//   H heads                       K head width      O observation A action        G group
//   N rows (a flattened [T, B], or a minibatch of it)
//   PAWL_CHECK_SHAPE(reward, {T, B});
// throws pawl::Error with the expression, both shapes and file:line. No torch here: anything with
// sizes() will do.
#pragma once
#include <cstdint>
#include <vector>

#include "core/error.h"

namespace pawl::nn {

template <class Sizes>
void CheckShape(const char* file, int line, const char* tensor, const char* dimensions,
                const Sizes& sizes, const std::vector<int64_t>& expected) {
  const std::vector<int64_t> found(sizes.begin(), sizes.end());
  if (found == expected) return;
  internal::ThrowCheck(
      file, line, tensor,
      fmt::format("[{}] vs [{}]", fmt::join(found, ", "), fmt::join(expected, ", ")),
      fmt::format("expected the shape {}", dimensions));
}

}  // namespace pawl::nn

// The dimensions are int64_t (or braced ints) in scope under the legend's names, so that the check
// reads as the comment does.
#define PAWL_CHECK_SHAPE(tensor, ...) \
  ::pawl::nn::CheckShape(__FILE__, __LINE__, #tensor, #__VA_ARGS__, (tensor).sizes(), __VA_ARGS__)

// The memory of one rendering, in which the values it makes lie (jinja_value.h).
#pragma once
#include <cstddef>
#include <memory>
#include <vector>

#include "text/jinja_value.h"

namespace pawl::text::jinja {

// Memory of one rendering: taken piece by piece, given back all at once.
class Arena {
 public:
  // Throws nothing: nullptr where more than `limit` bytes would be taken.
  explicit Arena(size_t limit) : limit_(limit) {}
  void* Take(size_t bytes);
  // Lengthens the piece that ends at `end` by `bytes` where it is the last one taken.
  bool TryExtend(const char* end, size_t bytes);
  // Objects with destructors, destroyed with the arena.
  Namespace& MakeNamespace();
  bool IsFull() const { return taken_ > limit_; }

 private:
  std::vector<std::unique_ptr<char[]>> blocks_;
  std::vector<std::unique_ptr<Namespace>> namespaces_;
  char* next_ = nullptr;
  size_t left_ = 0, taken_ = 0, limit_;
};

}  // namespace pawl::text::jinja

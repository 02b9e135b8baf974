// How attention's passes split their work, and what they check before they hand it to a kernel.
#pragma once
#include "core/error.h"
#include "kernels/attention.h"

namespace pawl::kernels {

// A row is one head's query at one position; rows go by position, then head of the group. An item
// is some rows of one sequence and kv head.
struct AttentionItem {
  const AttentionSequence* sequence;
  int64_t kv_head, first_row, rows;
};
// Where a row lies in the query matrix.
struct Place {
  int64_t row, head;
};
inline Place PlaceOf(const AttentionShape& shape, const AttentionItem& item, int64_t r) {
  const int64_t group = shape.heads / shape.kv_heads;
  r += item.first_row;
  return {item.sequence->row + r / group, item.kv_head * group + r % group};
}

inline void CheckAttention(const AttentionForwardArgs& args) {
  const AttentionShape& shape = args.shape;
  PAWL_CHECK(shape.head_dim >= 1 && shape.head_dim <= 256, "head_dim {} is not 1 to 256",
             shape.head_dim);
  PAWL_CHECK(shape.kv_heads >= 1 && shape.heads >= 1 && shape.heads % shape.kv_heads == 0,
             "kv_heads {} does not divide heads {}", shape.kv_heads, shape.heads);
  PAWL_CHECK_GE(shape.window, 0, "attention window");
  const int64_t q_width = shape.heads * shape.head_dim, kv_width = shape.kv_heads * shape.head_dim;
  PAWL_CHECK(args.q_stride >= q_width && args.out_stride >= q_width && args.kv_stride >= kv_width,
             "a row stride is below the row's width: q {}, out {} of {}, kv {} of {}",
             args.q_stride, args.out_stride, q_width, args.kv_stride, kv_width);
  for (const AttentionSequence& sequence : args.sequences) {
    PAWL_CHECK(sequence.row >= 0 && sequence.queries >= 0 && sequence.first_position >= 0,
               "sequence of {} queries at row {}, position {}", sequence.queries, sequence.row,
               sequence.first_position);
  }
}

}  // namespace pawl::kernels

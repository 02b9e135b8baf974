// How attention's passes split their work, and what they check before they hand it to a kernel.
#pragma once
#include "core/error.h"
#include "kernels/attention.h"

namespace pawl::kernels {

// A row is one head's query at one position; rows go by position, then head of the group. An item
// is some rows of one sequence and kv head.
constexpr int64_t kAttentionItemRows = 264;  // at most, of a forward item
struct AttentionItem {
  const AttentionSequence* sequence;
  int64_t kv_head, first_row, rows;
};
// Walks the rows of an item without a division a row.
class RowWalk {
 public:
  RowWalk(const AttentionShape& shape, const AttentionItem& item)
      : group_(shape.heads / shape.kv_heads),
        first_head_(item.kv_head * group_),
        first_row_(item.sequence->row),
        query_(item.first_row / group_),
        member_(item.first_row % group_) {}
  int64_t query() const { return query_; }             // of the sequence
  int64_t row() const { return first_row_ + query_; }  // of the query matrix
  int64_t head() const { return first_head_ + member_; }
  void Next() {
    if (++member_ < group_) return;
    member_ = 0;
    ++query_;
  }

 private:
  int64_t group_, first_head_, first_row_, query_, member_;
};

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

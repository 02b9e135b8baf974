// Packed sequences of random queries, keys and values for the attention tests, and attention in
// plain double loops: the oracle, with the sums of magnitudes that tolerances are derived from.
#pragma once
#include <string>
#include <vector>

#include "kernels/attention.h"

namespace pawl::kernels {

struct AttentionSpec {
  AttentionShape shape;
  std::vector<int> lengths;
  int64_t first_row = 0;   // rows before the first sequence
  int64_t gap = 0;         // rows between sequences
  uint64_t seed = 1;       // sequence i holds the numbers of seed + i, wherever it lies
  float query_factor = 1;  // multiplies the queries
};
AttentionSpec MakeSpec(int kv_heads, int group, int head_dim, int window, std::vector<int> lengths);
std::string Name(const AttentionSpec& spec);

struct AttentionCase {
  explicit AttentionCase(const AttentionSpec& spec);
  AttentionForwardArgs ForwardArgs();
  AttentionBackwardArgs BackwardArgs();
  void Forward(Team& team) { AttentionForward(ForwardArgs(), team); }
  void Backward(Team& team) { AttentionBackward(BackwardArgs(), team); }
  // First element of a sequence's rows in `x`, which is one of the members below.
  float* Q(std::vector<float>& x, int sequence) {
    return x.data() + sequences[sequence].row * q_stride;
  }
  float* Kv(std::vector<float>& x, int sequence) {
    return x.data() + sequences[sequence].row * kv_stride;
  }
  float* LogSum(int sequence) {
    return log_sum.data() + sequences[sequence].row * spec.shape.heads;
  }

  AttentionSpec spec;
  int64_t q_stride = 0, kv_stride = 0;  // a little above the width; elements between are 0
  std::vector<AttentionSequence> sequences;
  std::vector<float> q, out, dout, dq;  // [T, q_stride]
  std::vector<float> k, v, dk, dv;      // [T, kv_stride]
  std::vector<float> log_sum;           // [T, H]
};

// One sequence's results in double, rows packed without gaps, and for each a bound of its error
// over float32's half unit (2^-24), from sums of magnitudes; rounding errors are taken to add up
// like a random walk, so that a sum of n terms has sqrt(n) of them.
struct AttentionOracle {
  struct Values {
    std::vector<double> value, error;
  };
  Values out, log_sum;  // [n, H * K], [n, H]
  Values dq, dk, dv;
};
AttentionOracle Oracle(AttentionCase& c, int sequence);
// sum of dout * out of one sequence, in double, for finite differences.
double OracleLoss(AttentionCase& c, int sequence);

}  // namespace pawl::kernels

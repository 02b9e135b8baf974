// The action distribution for blocks of up to 16 rows held as columns, [A][16]: one lane is one
// row, so a row's log-probability is the same bits wherever it stands and however many rows come
// with it. Actors (SampleActions) and the learner's update call the same code.
#pragma once
#include "kernels/mlp.h"
#include "kernels/panel.h"

namespace pawl::kernels {

constexpr int kBlockRows = kPanel;

// What does not depend on the row. log_std [A] is not read for a categorical head.
struct ActionDist {
  ActionDist(PolicyHead head, int act, const float* log_std);
  PolicyHead head;
  int act;
  AlignedBuffer deviation, inverse_deviation;  // [A] exp(log_std), exp(-log_std)
  float constant = 0;                          // -sum log_std - A/2 log 2 pi
  float entropy = 0;                           // nats; Gaussian
  // Numbers a stored action has: A, or 1 (the index).
  int stored_size() const { return head == PolicyHead::kCategorical ? 1 : act; }
};

// log_prob [16] of the actions; lanes beyond the block's rows hold nothing of use.
void BlockLogProb(const ActionDist& dist, const float* head, const float* action, float* log_prob);
// action [stored_size][16] from head [A][16] and noise [A][16]; noise null: mean or argmax.
void BlockSample(const ActionDist& dist, const float* head, const float* noise, float* action);

// The policy's part of the PPO loss for one block. Sums are over rows; gradients are of the loss,
// a mean over the minibatch.
struct PolicyLossSums {  // [16] each: one lane is one row of the block
  alignas(64) float policy[kBlockRows] = {};
  alignas(64) float entropy[kBlockRows] = {};
  alignas(64) float kl[kBlockRows] = {};
  alignas(64) float clipped[kBlockRows] = {};
  alignas(64) float max_abs_log_ratio[kBlockRows] = {};
};
struct PolicyLossArgs {
  int rows = 0;                         // 1 to 16
  const float* head = nullptr;          // [A][16] mean or logits
  const float* action = nullptr;        // [stored_size][16]
  const float* old_log_prob = nullptr;  // [16]
  const float* advantage = nullptr;     // [16]
  float mean = 0;                       // 1 / rows of the minibatch
  float clip_range = 0, entropy_coef = 0;
  float* d_head = nullptr;     // [A][16] written
  float* d_log_std = nullptr;  // [A][16] added to; not touched for a categorical head
};
void BlockPolicyLoss(const ActionDist& dist, const PolicyLossArgs& args, PolicyLossSums& sums);

// Copies `rows` rows of a row-major matrix [.., columns] (row i is index[i], or i where index is
// null) to columns [columns][16], the rest zero.
void RowsToColumns(const float* from, const int32_t* index, int rows, int columns, float* to);

}  // namespace pawl::kernels

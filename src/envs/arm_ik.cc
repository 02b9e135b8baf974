#include "envs/arm_ik.h"

#include <cmath>

namespace pawl::envs {
namespace {

void Cross(const double* a, const double* b, double* out) {
  out[0] = a[1] * b[2] - a[2] * b[1];
  out[1] = a[2] * b[0] - a[0] * b[2];
  out[2] = a[0] * b[1] - a[1] * b[0];
}

// Solves A x = b for a symmetric positive definite A [6, 6] (lower half read, overwritten), x in b.
void SolveSpd6(double a[6][6], double b[6]) {
  for (int i = 0; i < 6; ++i) {
    for (int j = 0; j <= i; ++j) {
      double sum = a[i][j];
      for (int k = 0; k < j; ++k) sum -= a[i][k] * a[j][k];
      a[i][j] = i == j ? std::sqrt(sum) : sum / a[j][j];
    }
  }
  for (int i = 0; i < 6; ++i) {
    for (int k = 0; k < i; ++k) b[i] -= a[i][k] * b[k];
    b[i] /= a[i][i];
  }
  for (int i = 5; i >= 0; --i) {
    for (int k = i + 1; k < 6; ++k) b[i] -= a[k][i] * b[k];
    b[i] /= a[i][i];
  }
}

}  // namespace

void ToolJacobian(const mjModel& model, const mjData& data, std::span<const int> joints,
                  const double* point, std::span<double> jacobian) {
  const size_t count = joints.size();
  for (size_t j = 0; j < count; ++j) {
    const double* axis = data.xaxis + 3 * joints[j];
    double column[6] = {axis[0], axis[1], axis[2], 0, 0, 0};
    if (model.jnt_type[joints[j]] == mjJNT_HINGE) {
      const double* anchor = data.xanchor + 3 * joints[j];
      const double arm[3] = {point[0] - anchor[0], point[1] - anchor[1], point[2] - anchor[2]};
      Cross(axis, arm, column);
      for (int i = 0; i < 3; ++i) column[3 + i] = axis[i];
    }
    for (size_t i = 0; i < 6; ++i) jacobian[i * count + j] = column[i];
  }
}

void PoseError(const ToolPose& tool, const ToolPose& target, std::span<double> error) {
  for (int i = 0; i < 3; ++i) {
    error[i] = target.position[i] - tool.position[i];
    error[3 + i] = 0;
  }
  for (int c = 0; c < 3; ++c) {
    const double now[3] = {tool.rotation[c], tool.rotation[3 + c], tool.rotation[6 + c]};
    const double wanted[3] = {target.rotation[c], target.rotation[3 + c], target.rotation[6 + c]};
    double turn[3];
    Cross(now, wanted, turn);
    for (int i = 0; i < 3; ++i) error[3 + i] += 0.5 * turn[i];
  }
}

void DampedLeastSquares(std::span<const double> jacobian, std::span<const double> error,
                        double damping, std::span<double> dq) {
  const size_t count = dq.size();
  double a[6][6], y[6];
  for (size_t i = 0; i < 6; ++i) {
    y[i] = error[i];
    for (size_t k = 0; k <= i; ++k) {
      double sum = i == k ? damping : 0;
      for (size_t j = 0; j < count; ++j) sum += jacobian[i * count + j] * jacobian[k * count + j];
      a[i][k] = sum;
    }
  }
  SolveSpd6(a, y);
  for (size_t j = 0; j < count; ++j) {
    double sum = 0;
    for (size_t i = 0; i < 6; ++i) sum += jacobian[i * count + j] * y[i];
    dq[j] = sum;
  }
}

}  // namespace pawl::envs

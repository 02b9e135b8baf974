// Differential inverse kinematics of a chain of joints: which small joint motion brings the tool
// towards a pose. Damped least squares (Nakamura & Hanafusa 1986; Wampler 1986). Called by the
// thread that steps the arm; allocates nothing.
#pragma once
#include <mujoco/mujoco.h>

#include <span>

namespace pawl::envs {

inline constexpr int kMaxArmJoints = 16;

// A pose in the world: position, m, and rotation matrix, row-major (columns are the tool's axes).
struct ToolPose {
  const double* position;  // [3]
  const double* rotation;  // [9]
};

// Geometric Jacobian of a point for the given hinge and slide joints, from the kinematics in
// `data`: hinge: [axis x (point - anchor); axis], slide: [axis; 0]. Every joint must be an ancestor
// of the point's body. joints: [N] model ids; point: [3]; jacobian: [6, N], row-major, m/rad and
// rad/rad.
void ToolJacobian(const mjModel& model, const mjData& data, std::span<const int> joints,
                  const double* point, std::span<double> jacobian);

// The twist from `tool` to `target`: the difference of positions, and 1/2 sum_i r_i x r_i* over the
// columns of the rotations (Luh, Walker & Paul 1980). error: [6], m and rad.
void PoseError(const ToolPose& tool, const ToolPose& target, std::span<double> error);

// dq = J^T (J J^T + damping I)^-1 error, by Cholesky. jacobian: [6, N]; error: [6]; damping > 0;
// dq: [N].
void DampedLeastSquares(std::span<const double> jacobian, std::span<const double> error,
                        double damping, std::span<double> dq);

}  // namespace pawl::envs

// The keywords of the walking tasks, named and defaulted as in Gymnasium v5. Internal to
// gym_locomotion.cc.
#pragma once
#include <limits>
#include <string>
#include <vector>

#include "envs/mujoco_env.h"

namespace pawl::envs {

// All keywords; each task lists its own in Visit.
struct LocomotionArgs : MujocoArgs {
  double forward_reward_weight = 1;
  double ctrl_cost_weight = 0;
  double contact_cost_weight = 0;
  double healthy_reward = 1;
  bool terminate_when_unhealthy = true;
  std::vector<double> healthy_state_range = {-100, 100};
  std::vector<double> healthy_z_range = {-std::numeric_limits<double>::infinity(),
                                         std::numeric_limits<double>::infinity()};
  std::vector<double> healthy_angle_range = {-std::numeric_limits<double>::infinity(),
                                             std::numeric_limits<double>::infinity()};
  std::vector<double> contact_force_range = {-1, 1};
  std::vector<double> contact_cost_range = {-std::numeric_limits<double>::infinity(), 10};
  std::string main_body = "1";
  double reset_noise_scale = 0.1;
  bool exclude_current_positions_from_observation = true;
  bool include_cinert_in_observation = true;
  bool include_cvel_in_observation = true;
  bool include_qfrc_actuator_in_observation = true;
  bool include_cfrc_ext_in_observation = true;

  template <class V>
  void VisitMotion(V& v) {
    v.Field("forward_reward_weight", forward_reward_weight, {.help = "times the forward velocity"});
    v.Field("ctrl_cost_weight", ctrl_cost_weight, {.help = "times the squared action"});
  }
  template <class V>
  void VisitHealth(V& v) {
    v.Field("healthy_reward", healthy_reward, {.help = "reward of each healthy step"});
    v.Field("terminate_when_unhealthy", terminate_when_unhealthy, {.help = "else it goes on"});
    v.Field("healthy_z_range", healthy_z_range,
            {.help = "height of the torso", .unit = "m", .allow_infinite = true});
  }
  template <class V>
  void VisitReset(V& v) {
    v.Field("reset_noise_scale", reset_noise_scale, {.help = "noise on the first state", .min = 0});
    v.Field("exclude_current_positions_from_observation",
            exclude_current_positions_from_observation,
            {.help = "leave the position in the plane out of the observation"});
  }
  template <class V>
  void VisitBodyFields(V& v) {
    v.Field("include_cinert_in_observation", include_cinert_in_observation,
            {.help = "inertias of the bodies"});
    v.Field("include_cvel_in_observation", include_cvel_in_observation,
            {.help = "velocities of the bodies"});
    v.Field("include_qfrc_actuator_in_observation", include_qfrc_actuator_in_observation,
            {.help = "torques of the actuators"});
  }
  template <class V>
  void VisitContactFields(V& v) {
    v.Field("include_cfrc_ext_in_observation", include_cfrc_ext_in_observation,
            {.help = "contact forces on the bodies"});
  }
};

struct HalfCheetahArgs : LocomotionArgs {
  HalfCheetahArgs() {
    xml_file = "half_cheetah.xml";
    frame_skip = 5;
    ctrl_cost_weight = 0.1;
    default_camera_config.trackbodyid = 1;
  }
  template <class V>
  void Visit(V& v) {
    VisitCommon(v);
    VisitMotion(v);
    VisitReset(v);
  }
};

struct SwimmerArgs : HalfCheetahArgs {
  SwimmerArgs() {
    xml_file = "swimmer.xml";
    frame_skip = 4;
    ctrl_cost_weight = 1e-4;
    default_camera_config.elevation = -60;
  }
};

struct Walker2dArgs : LocomotionArgs {
  Walker2dArgs() {
    xml_file = "walker2d_v5.xml";
    frame_skip = 4;
    ctrl_cost_weight = 1e-3;
    healthy_z_range = {0.8, 2.0};
    healthy_angle_range = {-1, 1};
    reset_noise_scale = 5e-3;
    default_camera_config.trackbodyid = 2;
    default_camera_config.lookat = {0, 0, 1.15};
  }
  template <class V>
  void Visit(V& v) {
    VisitCommon(v);
    VisitMotion(v);
    VisitHealth(v);
    v.Field("healthy_angle_range", healthy_angle_range,
            {.help = "pitch", .unit = "rad", .allow_infinite = true});
    VisitReset(v);
  }
};

struct HopperArgs : Walker2dArgs {
  HopperArgs() {
    xml_file = "hopper.xml";
    healthy_z_range = {0.7, std::numeric_limits<double>::infinity()};
    healthy_angle_range = {-0.2, 0.2};
    default_camera_config.distance = 3;
  }
  template <class V>
  void Visit(V& v) {
    Walker2dArgs::Visit(v);
    v.Field("healthy_state_range", healthy_state_range,
            {.help = "every position and velocity after the first two", .allow_infinite = true});
  }
};

struct AntArgs : LocomotionArgs {
  AntArgs() {
    xml_file = "ant.xml";
    frame_skip = 5;
    ctrl_cost_weight = 0.5;
    contact_cost_weight = 5e-4;
    healthy_z_range = {0.2, 1.0};
    default_camera_config.trackbodyid = 1;
  }
  template <class V>
  void Visit(V& v) {
    VisitCommon(v);
    VisitMotion(v);
    v.Field("contact_cost_weight", contact_cost_weight, {.help = "times the squared forces"});
    VisitHealth(v);
    v.Field("main_body", main_body, {.help = "body whose velocity is paid: a name or \"number\""});
    v.Field("contact_force_range", contact_force_range,
            {.help = "forces are clipped to it", .allow_infinite = true});
    VisitReset(v);
    VisitContactFields(v);
  }
};

struct HumanoidArgs : LocomotionArgs {
  HumanoidArgs() {
    xml_file = "humanoid.xml";
    frame_skip = 5;
    forward_reward_weight = 1.25;
    ctrl_cost_weight = 0.1;
    contact_cost_weight = 5e-7;
    healthy_reward = 5;
    healthy_z_range = {1.0, 2.0};
    reset_noise_scale = 1e-2;
    default_camera_config.trackbodyid = 1;
    default_camera_config.lookat = {0, 0, 1.2};
  }
  template <class V>
  void Visit(V& v) {
    VisitCommon(v);
    VisitMotion(v);
    v.Field("contact_cost_weight", contact_cost_weight, {.help = "times the squared forces"});
    v.Field("contact_cost_range", contact_cost_range,
            {.help = "the cost is clipped to it", .allow_infinite = true});
    VisitHealth(v);
    VisitReset(v);
    VisitBodyFields(v);
    VisitContactFields(v);
  }
};

}  // namespace pawl::envs

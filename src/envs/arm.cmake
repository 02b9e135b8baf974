# the robot arm's sources, included by CMakeLists.txt of this folder
set(PAWL_ARM_SOURCES
  arm_control.cc
  arm_cube.cc
  arm_drawer.cc
  arm_env.cc
  arm_ik.cc
  arm_model.cc
  arm_reach.cc
  arm_registry.cc
  arm_spec.cc
  rig.cc)
# rigs and scenes stay files of the source tree: edited, they count at the next start
set_source_files_properties(rig.cc PROPERTIES COMPILE_DEFINITIONS PAWL_SOURCE_DIR="${PROJECT_SOURCE_DIR}")

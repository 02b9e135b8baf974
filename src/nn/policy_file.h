// A control policy as one self-describing folder: policy.json (network, environment with its
// keywords, observation layout with units, action bounds, normaliser settings) and
// weights.safetensors (weights by name, normaliser statistics). Enough to run it without the config
// it was trained from. Written inside every checkpoint; no clocks in it.
#pragma once
#include <filesystem>
#include <string>

#include "envs/registry.h"
#include "kernels/mlp.h"
#include "nn/checkpoint.h"
#include "nn/normalizer.h"

namespace pawl::nn {

struct Policy {
  envs::EnvConfig env;  // id, rig and keywords it was trained with
  envs::EnvSpec spec;
  kernels::MlpShape shape;
  NormalizerSnapshot normalizer;
  kernels::AlignedBuffer weights;  // flat, as PolicyRunner takes them
};

// Adds "policy/policy.json" and "policy/weights.safetensors".
void AddPolicyFiles(const Policy& policy, CheckpointFiles& files);
// From the files of a checkpoint. Throws pawl::Error naming the file for anything malformed.
Policy PolicyFromFiles(const MappedFiles& files, const std::string& source);
// From the contents of policy.json and weights.safetensors.
Policy ParsePolicy(std::span<const std::byte> description, std::span<const std::byte> weights,
                   const std::string& source);
// Why a policy trained for `trained` cannot run in `present`: one line per difference (id, version,
// observation parts, action sizes and bounds); empty when it can.
std::vector<std::string> SpecDifferences(const envs::EnvSpec& trained,
                                         const envs::EnvSpec& present);

}  // namespace pawl::nn

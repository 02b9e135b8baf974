// Any bytes as the adapter_config.json of a PEFT folder over a small Llama: either a layout of
// adapters within the model or one pawl::Error of one line.
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>

#include "core/error.h"
#include "nn/lora_files.h"
#include "nn/model_config.h"

namespace {
using namespace pawl::nn;

void Require(bool condition) {
  if (!condition) std::abort();
}

const DecoderLayout& SmallLlama() {
  static const DecoderLayout layout(ParseModelConfig(
      R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 64,
          "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
          "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
          "rms_norm_eps": 1e-5, "hidden_act": "silu", "rope_theta": 10000.0,
          "tie_word_embeddings": false, "attention_bias": false, "mlp_bias": false,
          "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "float32"})",
      "", "fuzz"));
  return layout;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // in memory: a file system that is one
  static const std::filesystem::path folder =
      "/dev/shm/adapter_config_fuzz." + std::to_string(getpid());
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "adapter_config.json", std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  try {
    const LoraLayout layout(SmallLlama(), ReadAdapterConfig(folder));
    for (const LoraAdapter& adapter : layout.adapters()) {
      Require(adapter.rank >= 1 && adapter.b + adapter.out * adapter.rank <= layout.size());
      Require(adapter.weight < SmallLlama().size());
    }
  } catch (const pawl::Error& error) {
    const std::string_view line = error.what();
    Require(error.exit_code() == 2 && line.find('\n') == line.npos && line.size() < 4000);
  }
  return 0;
}

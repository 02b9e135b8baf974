#include "kernels/cuda_library.h"

#include <dlfcn.h>

#include <filesystem>

#include "core/error.h"

namespace pawl::kernels {
namespace {
constexpr char kName[] = "libpawl_cuda.so";
}  // namespace

std::string CudaLibrary::DefaultPath() {
  return std::filesystem::read_symlink("/proc/self/exe").replace_filename(kName).string();
}

CudaLibrary CudaLibrary::Load(const std::string& path) {
  if (!std::filesystem::exists(path)) {
    throw UserError({.what = "device 'cuda' asked for but this build has no CUDA library",
                     .where = path,
                     .expected = kName,
                     .hint = "install CUDA 13 and run ./pawl setup --cuda, or use device 'cpu'"});
  }
  // global: LibTorch's own libraries and later plug-ins must find its CUDA symbols
  void* const handle = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (!handle) {
    throw RunError({.what = fmt::format("the CUDA library cannot be loaded: {}", dlerror()),
                    .where = path,
                    .hint = "./pawl setup --cuda brings the CUDA libraries it needs"});
  }
  const auto function = reinterpret_cast<PawlCudaApiFunction>(dlsym(handle, "GetPawlCudaApi"));
  const PawlCudaApi* const api = function ? function() : nullptr;
  if (!api || api->version != PAWL_CUDA_API_VERSION) {
    throw RunError({.what = fmt::format("the CUDA library is of another build (interface {})",
                                        api ? fmt::to_string(api->version) : "missing"),
                    .where = path,
                    .expected = fmt::format("interface {}", PAWL_CUDA_API_VERSION),
                    .hint = "build again: ./pawl setup"});
  }
  return CudaLibrary(api);
}

void CudaLibrary::Check(int status, const char* what) const {
  if (status != 0) {
    throw RunError({.what = fmt::format("CUDA: {} failed: {}", what, api_->last_error())});
  }
}

int CudaLibrary::DeviceCount() const {
  int count = 0;
  Check(api_->device_count(&count), "counting devices");
  return count;
}

std::string CudaLibrary::DeviceName(int device) const {
  char name[256] = {};
  Check(api_->device_name(device, name, sizeof(name)), "asking for the device's name");
  return name;
}

void CudaLibrary::RequireDevice() const {
  if (DeviceCount() > 0) return;
  throw UserError({.what = "device 'cuda' asked for but no CUDA device is visible",
                   .hint = "check nvidia-smi and CUDA_VISIBLE_DEVICES, or use device 'cpu'"});
}

void* CudaLibrary::Allocate(size_t bytes) const {
  void* memory = nullptr;
  Check(api_->allocate(&memory, bytes), "allocating");
  return memory;
}
void CudaLibrary::Release(void* memory) const { Check(api_->release(memory), "releasing"); }
void CudaLibrary::CopyToDevice(void* device, const void* host, size_t bytes, void* stream) const {
  Check(api_->copy_to_device(device, host, bytes, stream), "copying to the device");
}
void CudaLibrary::CopyToHost(void* host, const void* device, size_t bytes, void* stream) const {
  Check(api_->copy_to_host(host, device, bytes, stream), "copying to the host");
}
void CudaLibrary::Synchronize(void* stream) const { Check(api_->synchronize(stream), "waiting"); }
void CudaLibrary::Gae(const GaeArgs& args, void* stream) const {
  Check(api_->gae(&args, stream), "the advantage scan");
}
void CudaLibrary::LogitRowsForward(const LogitRowsArgs& args, void* stream) const {
  Check(api_->logit_rows_forward(&args, stream), "the head's row statistics");
}
void CudaLibrary::LogitRowsBackward(const LogitRowsArgs& args, void* stream) const {
  Check(api_->logit_rows_backward(&args, stream), "the gradient of the logits");
}

}  // namespace pawl::kernels

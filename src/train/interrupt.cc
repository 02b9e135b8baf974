#include "train/interrupt.h"

#include <signal.h>

namespace pawl::train {
namespace {
volatile sig_atomic_t g_interrupted = 0;

void OnSignal(int) { g_interrupted = 1; }
}  // namespace

void InstallInterruptHandler() {
  g_interrupted = 0;
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // the second one has its default effect
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  struct sigaction hangup = {};  // of the terminal; under nohup it stays ignored
  if (sigaction(SIGHUP, nullptr, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
    sigaction(SIGHUP, &action, nullptr);
}

bool Interrupted() { return g_interrupted != 0; }

}  // namespace pawl::train

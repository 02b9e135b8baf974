// Ctrl-C, SIGTERM and a closed terminal ask the learner loop to finish its update, save and stop; a
// second one ends the process at once.
#pragma once

namespace pawl::train {

void InstallInterruptHandler();
bool Interrupted();

}  // namespace pawl::train

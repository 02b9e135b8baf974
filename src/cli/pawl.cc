#include "cli/main.h"

int main(int argc, char** argv) { return pawl::cli::Main(argc, argv); }

// The misbehaving teacher as a program, for tests of the built retort: prints its base URL, then
// serves until its standard input ends.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "fakellm/fakellm.h"

int main(int argc, char** argv) {
  retort::fakellm::Settings settings;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--port") == 0) settings.port = std::atoi(argv[i + 1]);
    if (std::strcmp(argv[i], "--delay-ms") == 0) settings.delay_ms = std::atoi(argv[i + 1]);
    if (std::strcmp(argv[i], "--key") == 0) settings.required_key = argv[i + 1];
    if (std::strcmp(argv[i], "--model") == 0) settings.model = argv[i + 1];
  }
  retort::fakellm::FakeLlm server(settings);
  std::printf("%s\n", server.base_url().c_str());
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return 0;
}

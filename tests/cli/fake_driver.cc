// SPDX-License-Identifier: Apache-2.0
// A libcuda.so.1 that starts a thread and finds no GPU. Drivers have threads, too: one that blocks
// no signal may take one that was meant for the program.
#include <unistd.h>

#include <thread>

extern "C" {

int cuInit(unsigned) {
  static bool started = false;
  if (!started) {
    std::thread([] {
      for (;;) pause();
    }).detach();
  }
  started = true;
  return 0;
}
int cuDriverGetVersion(int* version) { return *version = 13000, 0; }
int cuDeviceGetCount(int* count) { return *count = 0; }
int cuDeviceGet(int*, int) { return 101; }
int cuDeviceGetName(char*, int, int) { return 101; }
int cuDeviceTotalMem_v2(unsigned long*, int) { return 101; }
int cuDeviceGetAttribute(int*, int, int) { return 101; }

}  // extern "C"

// SPDX-License-Identifier: Apache-2.0
// fontconfig keeps a few hundred bytes of parsed patterns until the process ends. The sanitizer's
// library must find the function, whatever visibility the build gives the rest.
extern "C" __attribute__((visibility("default"))) const char* __lsan_default_suppressions() {
  return "leak:libfontconfig";
}

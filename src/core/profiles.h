// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include "core/machine.h"

namespace peregrine {

/// One built-in group of settings: keys and values as a TOML file would give them.
struct ProfileValue {
  const char* key;
  const char* value;
};
struct Profile {
  const char* name;
  const char* purpose;
  std::span<const ProfileValue> values;
};
std::span<const Profile> profiles();
/// `name` must be one of `profiles()`.
const Profile& find_profile(const std::string& name);

struct ProfileChoice {
  std::string name;
  std::string reason;  ///< one sentence, with the figures that decided
};
/// What `auto` becomes on this machine. `cuda_engine`: whether this build can use a GPU at all.
ProfileChoice choose_profile(const Machine& machine, bool cuda_engine);

}  // namespace peregrine

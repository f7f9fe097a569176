// What the drivers of physical machines speak of. Values; storable (base/record.hpp).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/units.hpp"

namespace nuraghe::deploy {

// A machine, as its drivers are told of it.
struct Target {
  std::string name;
  std::string address;            // of what switches it on and off; of driver sim: what it has (sim/machines.hpp)
  std::vector<std::string> macs;  // of the cards from which it may boot
  template <class V>
  void fields(V& v) {
    v(1, name), v(2, address), v(3, macs);
  }
};

struct Disk {
  std::string name;    // as the firmware calls it
  std::string serial;  // by which orders name it
  Bytes size;
  template <class V>
  void fields(V& v) {
    v(1, name), v(2, serial), v(3, size);
  }
  bool operator==(const Disk&) const = default;
};

struct NetworkCard {
  std::string mac, name;
  template <class V>
  void fields(V& v) {
    v(1, mac), v(2, name);
  }
  bool operator==(const NetworkCard&) const = default;
};

struct Hardware {
  int cpus = 0;
  Bytes memory;
  std::string architecture;  // x86_64
  std::string firmware;      // bios, uefi
  std::vector<Disk> disks;
  std::vector<NetworkCard> network_cards;
  std::vector<std::string> devices;  // what else it has: "infiniband"
  template <class V>
  void fields(V& v) {
    v(1, cpus), v(2, memory), v(3, architecture), v(4, firmware), v(5, disks), v(6, network_cards), v(7, devices);
  }
};

struct Sensor {
  std::string name;
  double value = 0;
  std::string unit;
  template <class V>
  void fields(V& v) {
    v(1, name), v(2, value), v(3, unit);
  }
};

}  // namespace nuraghe::deploy

// The tiny guest for UEFI: a program of a few KB that shows whether its memory, and the firmware's variables, went on.
//
// Started by the firmware (as QEMU's -kernel, or as EFI/BOOT/BOOTX64.EFI of a disk), it prints READY on the serial
// console, then how often it was started on this machine ("start 1"), and then "beat 1", "beat 2", ... one per second
// of the firmware's timer. The beats are counted in its memory and in a variable of the firmware; when the two differ
// it says so and stops. It stays under the firmware's boot services (UEFI 2.10 §7), and halts between beats.

using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;

namespace {

using Status = u64;  // 0: success

struct Guid {
  u32 a;
  u16 b, c;
  u8 d[8];
};

// Of the tables only what is used has a name (UEFI 2.10 §4.3, §4.4, §4.5).
struct BootServices {
  u8 header[24];
  void* before_create_event[7];
  Status (*create_event)(u32 type, u64 level, void* notify, void* context, void** event);
  Status (*set_timer)(void* event, u32 type, u64 hundreds_of_nanoseconds);
  Status (*wait_for_event)(u64 count, void** events, u64* index);
  void* before_set_watchdog[19];
  Status (*set_watchdog)(u64 seconds, u64 code, u64 size, const char16_t* data);
};
struct RuntimeServices {
  u8 header[24];
  void* before_get_variable[6];
  Status (*get_variable)(const char16_t* name, const Guid* vendor, u32* attributes, u64* size, void* data);
  void* get_next_variable_name;
  Status (*set_variable)(const char16_t* name, const Guid* vendor, u32 attributes, u64 size, const void* data);
};
struct SystemTable {
  u8 header[24];
  void* before_runtime[8];
  RuntimeServices* runtime;
  BootServices* boot;
};

constexpr Guid kOurs = {0x6f1c5d0a, 0x3b1e, 0x4c57, {0x9a, 0x11, 0x0e, 0x55, 0x61, 0x70, 0x2b, 0x09}};
constexpr u32 kKept = 7;  // non-volatile, in boot services and at run time
constexpr u32 kTimerEvent = 0x80000000, kPeriodic = 1;
constexpr u64 kSecond = 10'000'000;
constexpr u16 kSerial = 0x3f8;  // COM1

void out(u16 port, u8 value) { asm volatile("outb %0, %1" ::"a"(value), "Nd"(port)); }
u8 in(u16 port) {
  u8 value;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

void print(char c) {
  while ((in(kSerial + 5) & 0x20) == 0) {
  }
  out(kSerial, static_cast<u8>(c));
}
void print(const char* text) {
  while (*text != 0) print(*text++);
}
void print(u32 number) {
  char digits[10];
  int count = 0;
  do {
    digits[count++] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  while (count > 0) print(digits[--count]);
}
void print(const char* what, u32 number) {
  print(what);
  print(number);
  print("\n");
}

u32 kept(const SystemTable* system, const char16_t* name) {
  u32 value = 0;
  u64 size = sizeof value;
  return system->runtime->get_variable(name, &kOurs, nullptr, &size, &value) == 0 ? value : 0;
}
bool keep(const SystemTable* system, const char16_t* name, u32 value) {
  return system->runtime->set_variable(name, &kOurs, kKept, sizeof value, &value) == 0;
}

}  // namespace

extern "C" Status efi_main(void*, SystemTable* system) {
  system->boot->set_watchdog(0, 0, 0, nullptr);  // it would end this after five minutes
  const u32 start = kept(system, u"start") + 1;
  void* timer = nullptr;
  if (!keep(system, u"start", start) || !keep(system, u"beats", 0) ||
      system->boot->create_event(kTimerEvent, 0, nullptr, nullptr, &timer) != 0 ||
      system->boot->set_timer(timer, kPeriodic, kSecond) != 0) {
    print("the firmware has no variables or no timer\n");
    return 1;
  }
  print("READY\n");
  print("start ", start);
  for (u32 beats = 0;;) {
    u64 index = 0;
    system->boot->wait_for_event(1, &timer, &index);
    if (kept(system, u"beats") != beats) {
      print("the firmware's variables were lost\n");
      return 2;
    }
    if (!keep(system, u"beats", ++beats)) print("the firmware's variables are full\n");
    print("beat ", beats);
  }
}

// The tiny guest: a whole "operating system" of a few KB that shows whether its memory went on.
//
// Booted by the multiboot protocol (QEMU's -kernel), it prints READY on the serial console and then "beat 1", "beat 2",
// ... one per second of its own timer. The counter lives in its RAM: after pause, freeze, thaw or fork the count goes
// on where it was; after a fresh boot it begins at 1 again. Needs 4 MiB of memory and one processor with its own
// interrupt controller (local APIC), whose timer QEMU and KVM run at 1 GHz: every machine type has that. One thread,
// interrupts on only while it halts in the main loop.

using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;

// Multiboot header (specification 0.6.96 §3.1), the entry with a stack of its own, and the timer's interrupt gate.
asm(R"(
.set kMultibootMagic, 0x1BADB002
.section .multiboot, "a"
.align 4
.long kMultibootMagic, 0, -kMultibootMagic

.section .bss
.align 16
.skip 8192
stack_top:

.section .text
.global _start
_start:
  cli
  cld
  mov $stack_top, %esp
  call run
.global timer_gate, ignored_gate
timer_gate:
  pushal
  cld
  call on_timer
  popal
  iret
ignored_gate:
  iret
.section .note.GNU-stack, "", @progbits
.text
)");

namespace {

constexpr u16 kSerial = 0x3f8;  // COM1
constexpr u16 kMasterPicMask = 0x21, kSlavePicMask = 0xa1;
constexpr u32 kLocalApic = 0xfee00000;  // Intel SDM volume 3, chapter "APIC"
constexpr u32 kEndOfInterrupt = 0xb0, kSpurious = 0xf0, kTimer = 0x320, kInitialCount = 0x380, kDivide = 0x3e0;
constexpr u32 kEnabled = 0x100, kPeriodic = 0x20000, kByOne = 0xb;
constexpr u8 kTimerVector = 32;  // the first that is not an exception
constexpr u8 kSpuriousVector = 47;
constexpr u32 kTicksPerBeat = 100;
constexpr u32 kTick = 10'000'000;  // 1 GHz / 10^7 = 100 Hz

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

struct [[gnu::packed]] Gate {
  u16 offset_low, selector;
  u8 zero, flags;
  u16 offset_high;
};
struct [[gnu::packed]] TableRegister {
  u16 limit;
  u32 base;
};

// Null, flat 32-bit code, flat 32-bit data.
u64 segments[3] = {0, 0x00cf9a000000ffffULL, 0x00cf92000000ffffULL};
Gate gates[kSpuriousVector + 1];
volatile u32 ticks;
u32 beats;

void load_segments() {
  const TableRegister table{sizeof segments - 1, reinterpret_cast<u32>(segments)};
  asm volatile(
      "lgdt %0\n ljmp $8, $1f\n 1: mov $16, %%eax\n mov %%eax, %%ds\n mov %%eax, %%es\n mov %%eax, %%fs\n"
      "mov %%eax, %%gs\n mov %%eax, %%ss" ::"m"(table)
      : "eax", "memory");
}

extern "C" void timer_gate();
extern "C" void ignored_gate();

void set_gate(u8 vector, void (*code)()) {
  const u32 address = reinterpret_cast<u32>(code);
  gates[vector] = {static_cast<u16>(address), 8, 0, 0x8e, static_cast<u16>(address >> 16)};
}

void set_apic(u32 place, u32 value) { *reinterpret_cast<volatile u32*>(kLocalApic + place) = value; }

// Keeps the old controllers silent, where there are any, and starts the processor's own timer.
void start_timer() {
  set_gate(kTimerVector, &timer_gate);
  set_gate(kSpuriousVector, &ignored_gate);
  const TableRegister table{sizeof gates - 1, reinterpret_cast<u32>(gates)};
  asm volatile("lidt %0" ::"m"(table) : "memory");
  out(kMasterPicMask, 0xff);
  out(kSlavePicMask, 0xff);
  set_apic(kSpurious, kEnabled | kSpuriousVector);
  set_apic(kDivide, kByOne);
  set_apic(kTimer, kPeriodic | kTimerVector);
  set_apic(kInitialCount, kTick);
}

}  // namespace

extern "C" void on_timer() {
  ticks = ticks + 1;
  set_apic(kEndOfInterrupt, 0);
}

extern "C" [[noreturn]] void run() {
  print("READY\n");
  load_segments();
  start_timer();
  u32 last = 0;
  for (;;) {
    asm volatile("sti\n hlt\n cli" ::: "memory");
    if (ticks - last < kTicksPerBeat) continue;
    last = last + kTicksPerBeat;
    print("beat ");
    print(++beats);
    print("\n");
  }
}

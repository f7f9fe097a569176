/* The guest of the KVM probe: a boot sector that does in a few instructions what an operating system does at its start
   and what a KVM that is none gets wrong or does too slowly: paging, long mode, an interrupt table, a long loop, two
   interrupts of the timer with their returns. Then it leaves through QEMU's exit device.
   Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3A, 9.8.5 (entering IA-32e mode) and 6.14
   (interrupts in 64-bit mode); 8259A and 8254 data sheets.

   Memory: 0x1000 PML4, 0x2000 page directory pointers, 0x3000 page directory (one page of 2 MiB), 0x4000 interrupt
   table, 0x7c00 this sector, the stack below it. */

#define EXIT_PORT 0xf4
#define EXIT_VALUE 0x2a
#define VECTOR 0x20
#define LOOPS 0x4000000
#define AT(label) ((label) - probe_guest + 0x7c00)

  .section .rodata
  .globl probe_guest
  .globl probe_guest_end
probe_guest:
  .code16
  cli
  xorw %ax, %ax
  movw %ax, %ds
  movw %ax, %es
  movw %ax, %ss
  movw $0x7c00, %sp
  ljmp $0, $AT(tables)

tables:
  cld
  movw $0x1000, %di
  xorl %eax, %eax
  movw $(0x4000 / 4), %cx
  rep stosl
  movw $0x2003, 0x1000
  movw $0x3003, 0x2000
  movw $0x0083, 0x3000
  movw $AT(on_timer), 0x4000 + 16 * VECTOR
  movw $0x08, 0x4002 + 16 * VECTOR
  movw $0x8e00, 0x4004 + 16 * VECTOR

  /* The interrupt controllers start at VECTOR; only the timer may interrupt, every 1000th of a second. */
  movb $0x11, %al
  outb %al, $0x20
  outb %al, $0xa0
  movb $VECTOR, %al
  outb %al, $0x21
  movb $(VECTOR + 8), %al
  outb %al, $0xa1
  movb $4, %al
  outb %al, $0x21
  movb $2, %al
  outb %al, $0xa1
  movb $1, %al
  outb %al, $0x21
  outb %al, $0xa1
  movb $0xfe, %al
  outb %al, $0x21
  movb $0xff, %al
  outb %al, $0xa1
  movb $0x34, %al
  outb %al, $0x43
  movb $(1193 & 0xff), %al
  outb %al, $0x40
  movb $(1193 >> 8), %al
  outb %al, $0x40

  lgdtl AT(descriptors_register)
  movl $0x20, %eax
  movl %eax, %cr4
  movl $0x1000, %eax
  movl %eax, %cr3
  movl $0xc0000080, %ecx
  rdmsr
  orl $0x100, %eax
  wrmsr
  movl %cr0, %eax
  orl $0x80000001, %eax
  movl %eax, %cr0
  ljmp $0x08, $AT(in_long_mode)

  .code64
in_long_mode:
  movl $0x10, %eax
  movl %eax, %ds
  movl %eax, %es
  movl %eax, %ss
  movl $0x7c00, %esp
  lidt AT(interrupts_register)
  xorl %ebx, %ebx
  sti
  /* A few hundredths of a second for a processor, minutes for a hypervisor that interprets each instruction. */
  movl $LOOPS, %ecx
1:
  decl %ecx
  jnz 1b
1:
  hlt
  cmpl $2, %ebx
  jb 1b
  movw $EXIT_PORT, %dx
  movb $EXIT_VALUE, %al
  outb %al, %dx
2:
  hlt
  jmp 2b

on_timer:
  incl %ebx
  pushq %rax
  movb $0x20, %al
  outb %al, $0x20
  popq %rax
  iretq

  .balign 8
descriptors:
  .quad 0
  .quad 0x00209a0000000000
  .quad 0x0000920000000000
descriptors_register:
  .word 23
  .long AT(descriptors)
interrupts_register:
  .word 16 * (VECTOR + 1) - 1
  .quad 0x4000

  .org probe_guest + 510
  .word 0xaa55
probe_guest_end:

  .section .note.GNU-stack, "", @progbits

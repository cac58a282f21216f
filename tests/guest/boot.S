# A boot sector that shows what a disk and a machine can do, for tests without an operating system.
#
# It prints on COM1, reads sector 1 through INT 13h, adds one to the counter in it, writes it back, reads it again, and then
# does what the sector asks for. Everything it does is on the serial port as lines that start with "boot:".
#
# Sector 1:  0  "TINDERBOX"     what it must find there
#           16  u8 counter      how many times it has run, written back
#           17  u8[15] actions  what to do after each run, by counter:
#                               'P' power off, 'R' reset register, 'T' triple fault, 'O' write to a port,
#                               'I' ten interrupts of the PIT through the PIC, 'K' type, until a q powers off,
#                               anything else: halt for ever
#           32  u16 port, u8 value   what 'O' writes
        .code16
        .globl _start
_start:
        ljmp    $0, $main
main:
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $0x7c00, %sp
        movb    %dl, drive
        cld
        movw    $hello, %si
        call    print

        movb    $0x42, %ah              # extended read
        call    transfer
        movw    $bad_read, %si
        jc      stop
        movw    $0x7e00, %di
        movw    $magic, %si
        movw    $9, %cx
        repe    cmpsb
        movw    $bad_data, %si
        jne     stop
        movw    $good_read, %si
        call    print

        incb    0x7e10
        movw    $0x4300, %ax            # extended write, no verify
        call    transfer
        movw    $bad_write, %si
        jc      stop
        movb    0x7e10, %bl             # what must come back
        movb    $0, 0x7e10
        movb    $0x42, %ah
        call    transfer
        movw    $bad_read, %si
        jc      stop
        cmpb    0x7e10, %bl
        movw    $bad_data, %si
        jne     stop
        movw    $good_write, %si
        call    print

        xorb    %bh, %bh                # the action of this run
        movb    0x7e10(%bx), %al
        cmpb    $'T', %al
        je      protected
        cmpb    $'P', %al
        je      protected
        cmpb    $'R', %al
        je      protected
        cmpb    $'O', %al
        je      port
        cmpb    $'I', %al
        je      interrupts
        cmpb    $'K', %al
        je      keys
        movw    $halted, %si
stop:   call    print
halt:   hlt
        jmp     halt

port:   movw    0x7e20, %dx
        movb    0x7e22, %al
        outb    %al, %dx
        jmp     halt

# The ACPI registers lie at 4 GiB less 22 MiB, out of real mode's reach, and emulators of real mode forget the limit of
# the interrupt table.
protected:
        cli
        lgdt    gdt_pointer
        movl    %cr0, %ecx
        orb     $1, %cl
        movl    %ecx, %cr0
        ljmp    $8, $flat
        .code32
flat:   movw    $16, %cx
        movw    %cx, %ds
        cmpb    $'R', %al
        je      reset
        cmpb    $'T', %al
        je      triple
        movb    $0x34, 0xfea00200       # SLP_EN, SLP_TYP 5
        jmp     .
reset:  movb    $0x42, 0xfea00202
        jmp     .
triple: lidt    no_idt
        movw    $0xf8, %cx              # no such descriptor
        movw    %cx, %es
        .code16

# AH: the function of INT 13h. Carry set on error.
transfer:
        movw    $packet, %si
        movb    drive, %dl
        int     $0x13
        ret

        .include "print.S"

hello:          .asciz "\r\nboot: sector runs\r\n"
good_read:      .asciz "boot: read ok\r\n"
good_write:     .asciz "boot: write ok\r\n"
bad_read:       .asciz "boot: read failed\r\n"
bad_write:      .asciz "boot: write failed\r\n"
bad_data:       .asciz "boot: wrong data\r\n"
halted:         .asciz "boot: halted\r\n"
magic:          .ascii "TINDERBOX"
drive:          .byte 0
        .balign 4
packet:         .byte 16, 0
                .word 1                 # sectors
                .word 0x7e00, 0         # to 0:8000
                .quad 1                 # sector 1
no_idt:         .word 0
                .long 0
gdt_pointer:    .word gdt_end - gdt - 1
                .long gdt
        .balign 8
gdt:            .quad 0
                .quad 0x00cf9a000000ffff        # code, flat
                .quad 0x00cf92000000ffff        # data, flat
gdt_end:
        .org    510
        .word   0xaa55

# Sector 1: what the test writes there, then code for which the first has no room.
        .org    512 + 64
# IRQ 0 is vector 8, as on a PC since 1981.
interrupts:
        cli
        movw    $tick, 8 * 4
        movw    $0, 8 * 4 + 2
        movw    $setup, %si
1:      lodsb                           # pairs of port and value
        movzbw  %al, %dx
        lodsb
        outb    %al, %dx
        cmpw    $setup_end, %si
        jne     1b
        sti
2:      hlt
        cmpb    $10, ticks
        jb      2b
        movw    $ticked, %si
        jmp     stop

tick:   incb    ticks
        pushw   %ax
        movb    $0x20, %al              # end of interrupt
        outb    %al, $0x20
        popw    %ax
        iret

ticked:         .asciz "boot: ten ticks\r\n"
setup:          .byte 0x20, 0x11, 0x21, 8, 0x21, 4, 0x21, 1     # ICW1 to ICW4 of the first PIC
                .byte 0x21, 0xfe                                # all masked but IRQ 0
                .byte 0x43, 0x34, 0x40, 0x9c, 0x40, 0x2e        # counter 0, mode 2, 100 Hz
setup_end:
ticks:          .byte 0

# What is typed comes out.
keys:   movw    $ready, %si
        call    print
        sti
1:      xorb    %ah, %ah
        int     $0x16
        movw    $0x3f8, %dx
        outb    %al, %dx
        cmpb    $'q', %al
        jne     1b
        movb    $'P', %al
        jmp     protected
ready:          .asciz "boot: keys please\r\n"

# A boot sector that shows what a disk and a machine can do, for tests without an operating system.
#
# It prints on COM1, reads sector 1 through INT 13h, adds one to the counter in it, writes it back, reads it again, and then
# does what the sector asks for. Everything it does is on the serial port as lines that start with "boot:".
#
# Sector 1:  0  "TINDERBOX"     what it must find there
#           16  u8 counter      how many times it has run, written back
#           17  u8[15] actions  what to do after each run, by counter:
#                               'P' power off, 'R' reset register, 'T' triple fault, 'H' halt for ever
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
        movw    $0x8000, %di
        movw    $magic, %si
        movw    $9, %cx
        repe    cmpsb
        movw    $bad_data, %si
        jne     stop
        movw    $good_read, %si
        call    print

        incb    0x8010
        movw    $0x4300, %ax            # extended write, no verify
        call    transfer
        movw    $bad_write, %si
        jc      stop
        movb    0x8010, %bl             # what must come back
        movb    $0, 0x8010
        movb    $0x42, %ah
        call    transfer
        movw    $bad_read, %si
        jc      stop
        cmpb    0x8010, %bl
        movw    $bad_data, %si
        jne     stop
        movw    $good_write, %si
        call    print

        xorb    %bh, %bh                # the action of this run
        movb    0x8010(%bx), %al
        cmpb    $'T', %al
        je      protected
        cmpb    $'P', %al
        je      protected
        cmpb    $'R', %al
        je      protected
        movw    $halted, %si
stop:   call    print
halt:   hlt
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

# Prints the line at SI.
print:  lodsb
        testb   %al, %al
        jz      1f
        movb    %al, %ah
        movw    $0x3fd, %dx
2:      inb     %dx, %al
        testb   $0x20, %al
        jz      2b
        movb    %ah, %al
        movw    $0x3f8, %dx
        outb    %al, %dx
        jmp     print
1:      ret

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
                .word 0x8000, 0         # to 0:8000
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

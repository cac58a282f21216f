# The option ROM through which a PC BIOS starts the kernel of --kernel. SPDX-License-Identifier: Apache-2.0
#
# The BIOS finds it as a fw_cfg file below genroms/, and boots from it by its Bootstrap Entry Vector (BEV) as it would
# from a disk (PnP BIOS Specification 1.0A, 3.2 and 3.3; BIOS Boot Specification 1.01, 3.1). The VMM offers a kernel of
# the Linux/x86 boot protocol as four parts, each by three fw_cfg items: where it goes, how long it is, and its bytes.
#
#       0x0010000  setup: the kernel's real-mode part      these addresses are the VMM's; all copying is the device's
#       0x0020000  command line                            (fw_cfg DMA), so real mode is all that this code needs
#       0x0100000  kernel: the protected-mode part
#       end of RAM initial RAM disk, moved down here if the BIOS keeps something there
#
# The builder adds the length, the rest of the last block and the checksums.
        .code16

# fw_cfg items (QEMU docs/specs/fw_cfg.rst). The length of a part is the item after its address.
KERNEL_ADDR     = 0x07
INITRD_ADDR     = 0x0a
KERNEL_DATA     = 0x11
INITRD_DATA     = 0x12
CMDLINE_ADDR    = 0x13
CMDLINE_DATA    = 0x15
SETUP_ADDR      = 0x16
SETUP_DATA      = 0x18

# fw_cfg DMA: everything is big-endian
DMA_HIGH        = 0x514
DMA_LOW         = 0x518
DMA_SELECT_READ = 0x000a
DMA_ERROR       = 0x01000000            # as it is in memory

# The setup header (Linux Documentation/arch/x86/boot.rst)
HEADER_MAGIC    = 0x202
HDRS            = 0x53726448            # "HdrS"
RAMDISK_IMAGE   = 0x218

        .org    0
        .byte   0x55, 0xaa
        .byte   0                       # blocks of 512 bytes
        lretw                           # initialisation: there is none
        .org    0x1a
        .word   pnp

        .balign 16
pnp:    .ascii  "$PnP"
        .byte   1, 2                    # revision; 16-byte blocks of this header
        .word   0                       # no further header
        .byte   0, 0                    # reserved; checksum
        .long   0                       # device id
        .word   maker, product
        .byte   0, 0x80, 2              # class: other mass storage
        .byte   0x14                    # may be a boot device, uses only this BIOS interface
        .word   0, 0                    # no boot connection vector, no disconnect vector
        .word   bev
        .word   0, 0                    # reserved; no static resources

# Returns to the BIOS if there is nothing to start; it then goes on with the next boot device.
bev:    cld
        movw    $SETUP_ADDR, %bx
        movw    $SETUP_DATA, %si
        call    load
        testl   %ecx, %ecx
        jz      return
        shrl    $4, %edi
        movw    %di, %es                # the segment of setup, until the kernel runs
        cmpl    $HDRS, %es:HEADER_MAGIC
        movw    $no_kernel, %si
        jne     fail

        movw    $INITRD_ADDR, %bx
        call    place
        testl   %ecx, %ecx
        jz      1f
        call    keep_below_bios
        movl    %edi, %es:RAMDISK_IMAGE
        movw    $INITRD_DATA, %bx
        call    copy
1:
        movw    $KERNEL_ADDR, %bx
        movw    $KERNEL_DATA, %si
        call    load
        movw    $CMDLINE_ADDR, %bx
        movw    $CMDLINE_DATA, %si
        call    load

# All data segments at setup, the stack below the command line, the entry 512 bytes into setup.
        cli
        movw    %es, %ax
        movzwl  %ax, %edx
        shll    $4, %edx
        subl    %edx, %edi
        subl    $16, %edi
        movw    %ax, %ds
        movw    %ax, %fs
        movw    %ax, %gs
        movw    %ax, %ss
        movw    %di, %sp
        addw    $0x20, %ax
        pushw   %ax
        pushw   $0
        lretw

# Lowers EDI so that ECX bytes from there, a multiple of 4 KiB, end below what the BIOS keeps at the end of RAM: ACPI
# tables, which it put there without the VMM's knowledge. INT 15h, E801: AX is KiB from 1 MiB to at most 16 MiB, BX is
# blocks of 64 KiB above those. A BIOS may answer in CX and DX instead.
keep_below_bios:
        pushl   %ecx
        xorl    %ecx, %ecx
        xorl    %edx, %edx
        movl    $0xe801, %eax
        xorl    %ebx, %ebx
        pushw   %es
        pushl   %edi
        int     $0x15
        popl    %edi
        popw    %es
        jc      2f
        jcxz    1f
        movw    %cx, %ax
        movw    %dx, %bx
1:      movzwl  %ax, %eax
        shll    $10, %eax
        addl    $0x100000, %eax
        movzwl  %bx, %ebx
        testl   %ebx, %ebx
        jz      1f
        shll    $16, %ebx
        leal    0x1000000(%ebx), %eax
1:      popl    %ecx
        subl    %ecx, %eax              # the highest start
        andl    $~0xfff, %eax
        cmpl    %eax, %edi
        jbe     3f
        movl    %eax, %edi
        ret
2:      popl    %ecx
3:      ret

# Copies the part whose address is item BX and whose bytes are item SI; gives its address in EDI, its length in ECX.
load:   call    place
        movw    %si, %bx
        jmp     copy

# The address in item BX, in EDI, and the length in the item that follows, in ECX.
place:  call    number
        movl    %eax, %edi
        incw    %bx
        call    number
        movl    %eax, %ecx
        ret

# The number that item BX holds, in EAX.
number: pushl   %ecx
        pushl   %edi
        pushl   $0
        movw    %ss, %di
        movzwl  %di, %edi
        shll    $4, %edi
        movzwl  %sp, %eax
        addl    %eax, %edi
        movl    $4, %ecx
        call    copy
        popl    %eax
        popl    %edi
        popl    %ecx
        ret

# Copies ECX bytes of item BX to physical address EDI. Does not return if the device cannot.
copy:   pushal
        bswapl  %edi
        bswapl  %ecx
        pushl   %edi                    # the descriptor: control, length, address
        pushl   $0
        pushl   %ecx
        movw    %bx, %ax
        shll    $16, %eax
        movw    $DMA_SELECT_READ, %ax
        bswapl  %eax
        pushl   %eax
        movw    %sp, %bp
        movw    %ss, %ax
        movzwl  %ax, %ecx
        shll    $4, %ecx
        movzwl  %bp, %eax
        addl    %eax, %ecx
        xorl    %eax, %eax
        movw    $DMA_HIGH, %dx
        outl    %eax, %dx
        movl    %ecx, %eax
        bswapl  %eax
        movw    $DMA_LOW, %dx
        outl    %eax, %dx
1:      movl    (%bp), %eax             # the device clears it when it is done
        cmpl    $DMA_ERROR, %eax
        movw    $no_dma, %si
        je      fail
        testl   %eax, %eax
        jnz     1b
        addw    $16, %sp
        popal
        ret

# Says the line at CS:SI and stops: half a kernel lies in memory, and the person who asked for it wants to know.
fail:   movw    %cs, %ax
        movw    %ax, %ds
1:      lodsb
        testb   %al, %al
        jz      2f
        movb    $0x0e, %ah              # teletype output
        movw    $7, %bx
        int     $0x10
        jmp     1b
2:      sti
        hlt
        jmp     2b

return: lretw

maker:          .asciz  "Tinderbox"
product:        .asciz  "kernel of --kernel"
no_kernel:      .asciz  "\r\n--kernel: SeaBIOS starts a bzImage only, use --firmware qboot\r\n"
no_dma:         .asciz  "\r\n--kernel: memory is too small for it\r\n"

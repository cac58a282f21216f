/** @file
  Shows edk2 the xHCI controller on the system bus of the microvm machine.

    etc/fdt: usb@fe900000, "generic-xhci"
      -> this driver: a device that no bus can discover, of type xHCI
      -> MdeModulePkg's NonDiscoverablePciDeviceDxe: EFI_PCI_IO_PROTOCOL on its registers
      -> MdeModulePkg's XhciDxe, which knows PCI alone

  The device has no interrupt here: XhciDxe polls.

  SPDX-License-Identifier: Apache-2.0
**/

#include <PiDxe.h>

#include <Library/BaseLib.h>
#include <Library/DebugLib.h>
#include <Library/NonDiscoverableDeviceRegistrationLib.h>
#include <Library/UefiBootServicesTableLib.h>
#include <Protocol/FdtClient.h>

/// The registers of a device of a tree with two cells for addresses, and two for sizes. Big-endian.
typedef struct {
  UINT64    Base;
  UINT64    Size;
} FDT_REG;

/**
  Registers the controller of Node.

  @retval EFI_SUCCESS            It can be connected now.
  @retval EFI_INVALID_PARAMETER  The node does not say where its registers are.
  @retval other                  It could not be registered.
**/
STATIC
EFI_STATUS
RegisterController (
  IN FDT_CLIENT_PROTOCOL  *FdtClient,
  IN INT32                Node
  )
{
  EFI_STATUS  Status;
  CONST VOID  *Property;
  UINT32      Length;
  UINT64      Base;
  UINT64      Size;

  Status = FdtClient->GetNodeProperty (FdtClient, Node, "reg", &Property, &Length);
  if (EFI_ERROR (Status)) {
    return Status;
  }

  if (Length != sizeof (FDT_REG)) {
    return EFI_INVALID_PARAMETER;
  }

  // A property is aligned to 4 bytes.
  Base = SwapBytes64 (ReadUnaligned64 (&((CONST FDT_REG *)Property)->Base));
  Size = SwapBytes64 (ReadUnaligned64 (&((CONST FDT_REG *)Property)->Size));
  DEBUG ((DEBUG_INFO, "%a: xHCI at 0x%Lx, 0x%Lx bytes\n", __func__, Base, Size));
  return RegisterNonDiscoverableMmioDevice (
           NonDiscoverableDeviceTypeXhci,
           NonDiscoverableDeviceDmaTypeCoherent,
           NULL,
           NULL,
           1,
           (UINTN)Base,
           (UINTN)Size
           );
}

/**
  Registers every controller of the device tree.

  @retval EFI_SUCCESS    At least one is there.
  @retval EFI_NOT_FOUND  There is none, so this driver is not needed any more.
  @retval other          The last one could not be registered.
**/
EFI_STATUS
EFIAPI
PlatformXhciEntryPoint (
  IN EFI_HANDLE        ImageHandle,
  IN EFI_SYSTEM_TABLE  *SystemTable
  )
{
  EFI_STATUS           Status;
  EFI_STATUS           Found;
  FDT_CLIENT_PROTOCOL  *FdtClient;
  INT32                Node;

  Status = gBS->LocateProtocol (&gFdtClientProtocolGuid, NULL, (VOID **)&FdtClient);
  if (EFI_ERROR (Status)) {
    return Status;
  }

  Status = EFI_NOT_FOUND;
  Found  = FdtClient->FindCompatibleNode (FdtClient, "generic-xhci", &Node);
  while (!EFI_ERROR (Found)) {
    Status = RegisterController (FdtClient, Node);
    if (EFI_ERROR (Status)) {
      DEBUG ((DEBUG_ERROR, "%a: %r\n", __func__, Status));
    }

    Found = FdtClient->FindNextCompatibleNode (FdtClient, "generic-xhci", Node, &Node);
  }

  return Status;
}

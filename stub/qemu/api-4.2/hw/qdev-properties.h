/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VGPU_API_42_QDEV_PROPERTIES_H
#define VGPU_API_42_QDEV_PROPERTIES_H

#include "qemu/osdep.h"

/* ---- objects ---- */

typedef struct InterfaceInfo {
  const char* type;
} InterfaceInfo;

typedef struct TypeInfo {
  const char* name;
  const char* parent;
  size_t instance_size;
  void (*instance_init)(Object* object);
  void (*instance_finalize)(Object* object);
  void (*class_init)(ObjectClass* object_class, void* data);
  InterfaceInfo* interfaces;
} TypeInfo;

Object* object_cast(void* object, const char* type);
void* object_class_cast(ObjectClass* object_class, const char* type);
void* type_register_static(const TypeInfo* info);
void object_property_add_alias(Object* object, const char* name, Object* target, const char* target_name, Error** errp);
void object_property_add_str(Object* object, const char* name, char* (*get)(Object*, Error**),
                             void (*set)(Object*, const char*, Error**), Error** errp);

#define OBJECT(object) ((Object*)(object))
#define OBJECT_CHECK(type, object, name) ((type*)object_cast((object), (name)))

/* ---- devices ---- */

struct VMStateDescription;
typedef struct DeviceState DeviceState;

typedef struct PropertyInfo PropertyInfo;
extern const PropertyInfo qdev_prop_bool, qdev_prop_size, qdev_prop_string, qdev_prop_uint16, qdev_prop_uint32;

typedef struct Property {
  const char* name;
  const PropertyInfo* info;
  size_t offset;
  uint64_t value;
} Property;

typedef struct DeviceClass {
  unsigned long* categories;
  const char* desc;
  Property* props;
  void (*reset)(DeviceState* device);
  const struct VMStateDescription* vmsd;
} DeviceClass;

#define DEVICE_CLASS(object_class) ((DeviceClass*)object_class_cast((object_class), "device"))

enum { DEVICE_CATEGORY_MISC = 6 };
void set_bit(long number, unsigned long* address);

#define VGPU_API_PROPERTY(text, state, member, type, kind, preset)                                                     \
  {                                                                                                                    \
    .name = (text), .info = &(kind), .offset = offsetof(state, member) + 0 * sizeof((type*)0 == &((state*)0)->member), \
    .value = (preset)                                                                                                  \
  }
#define DEFINE_PROP_BOOL(text, state, member, preset) \
  VGPU_API_PROPERTY(text, state, member, bool, qdev_prop_bool, preset)
#define DEFINE_PROP_SIZE(text, state, member, preset) \
  VGPU_API_PROPERTY(text, state, member, uint64_t, qdev_prop_size, preset)
#define DEFINE_PROP_STRING(text, state, member) VGPU_API_PROPERTY(text, state, member, char*, qdev_prop_string, 0)
#define DEFINE_PROP_UINT16(text, state, member, preset) \
  VGPU_API_PROPERTY(text, state, member, uint16_t, qdev_prop_uint16, preset)
#define DEFINE_PROP_UINT32(text, state, member, preset) \
  VGPU_API_PROPERTY(text, state, member, uint32_t, qdev_prop_uint32, preset)
#define DEFINE_PROP_END_OF_LIST() \
  { 0 }

#endif

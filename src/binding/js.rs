//! The few Node-API calls that are used, each wrapped once.
//!
//! A [`Js`] exists only on its environment's JavaScript thread, inside a call from JavaScript (or a finalizer): that is what
//! makes the wrapped calls sound, and why it cannot be sent elsewhere. Statuses are looked at where a caller can do anything
//! about them; the rest fail only while an environment ends, when there is nobody left to tell.

use std::ffi::{CString, c_void};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr;

use napi::sys;

/// The JavaScript thread, now.
#[derive(Clone, Copy)]
pub(super) struct Js {
    env: sys::napi_env,
    not_send: PhantomData<*mut ()>,
}

/// A JavaScript value, valid until the innermost handle scope ends.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Value(sys::napi_value);

/// A promise that has not been settled.
#[derive(Clone, Copy)]
pub(super) struct Deferred(sys::napi_deferred);

/// A value that is kept as long as the environment.
#[derive(Clone, Copy)]
pub(super) struct Reference(sys::napi_ref);

/// What the callbacks of one origin run in.
#[derive(Clone, Copy)]
pub(super) struct AsyncContext(sys::napi_async_context);

/// What `typeof` says, as far as anybody asks.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Undefined,
    Null,
    Boolean,
    Number,
    String,
    Symbol,
    BigInt,
    Object,
    Function,
    Other,
}

impl Value {
    pub(super) fn new(raw: sys::napi_value) -> Self {
        Self(raw)
    }

    pub(super) fn raw(self) -> sys::napi_value {
        self.0
    }
}

impl Js {
    /// `env` as Node handed it to the callback that is running.
    pub(super) fn new(env: sys::napi_env) -> Self {
        Self { env, not_send: PhantomData }
    }

    pub(super) fn raw(self) -> sys::napi_env {
        self.env
    }

    /// Makes one value by a call that fills in a handle.
    fn value(self, make: impl FnOnce(*mut sys::napi_value) -> sys::napi_status) -> Value {
        let mut value = ptr::null_mut();
        make(&mut value);
        Value(value)
    }

    pub(super) fn undefined(self) -> Value {
        // SAFETY: `self` witnesses a live environment on this thread, and the result is a local.
        self.value(|out| unsafe { sys::napi_get_undefined(self.env, out) })
    }

    pub(super) fn boolean(self, value: bool) -> Value {
        // SAFETY: as in `undefined`.
        self.value(|out| unsafe { sys::napi_get_boolean(self.env, value, out) })
    }

    pub(super) fn double(self, number: f64) -> Value {
        // SAFETY: as in `undefined`.
        self.value(|out| unsafe { sys::napi_create_double(self.env, number, out) })
    }

    pub(super) fn string(self, text: &str) -> Value {
        let length = isize::try_from(text.len()).unwrap_or(isize::MAX);
        // SAFETY: as in `undefined`; pointer and length are those of `text`.
        self.value(|out| unsafe { sys::napi_create_string_utf8(self.env, text.as_ptr().cast(), length, out) })
    }

    pub(super) fn object(self) -> Value {
        // SAFETY: as in `undefined`.
        self.value(|out| unsafe { sys::napi_create_object(self.env, out) })
    }

    /// A function that runs `callback` with `data`, which must live as long as the function.
    pub(super) fn function(
        self,
        name: &str,
        callback: unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value,
        data: *mut c_void,
    ) -> Value {
        let length = isize::try_from(name.len()).unwrap_or(isize::MAX);
        // SAFETY: as in `string`; what `data` points to is the caller's promise, used by `callback` alone.
        self.value(|out| unsafe {
            sys::napi_create_function(self.env, name.as_ptr().cast(), length, Some(callback), data, out)
        })
    }

    /// Calls `drop` with `data` when `object` has been collected, or when the environment ends.
    pub(super) fn finalize(
        self,
        object: Value,
        data: *mut c_void,
        drop: unsafe extern "C" fn(sys::napi_env, *mut c_void, *mut c_void),
    ) {
        // SAFETY: as in `undefined`; without a result pointer Node keeps the finalizer's reference itself.
        unsafe {
            sys::napi_add_finalizer(self.env, object.0, data, Some(drop), ptr::null_mut(), ptr::null_mut());
        }
    }

    /// Sets a property; `name` has no NUL.
    pub(super) fn set(self, object: Value, name: &str, value: Value) {
        if let Ok(name) = CString::new(name) {
            // SAFETY: as in `undefined`; `name` outlives the call.
            unsafe { sys::napi_set_named_property(self.env, object.0, name.as_ptr(), value.0) };
        }
    }

    pub(super) fn get(self, object: Value, key: Value) -> Option<Value> {
        let mut value = ptr::null_mut();
        // SAFETY: as in `undefined`. A getter that throws leaves an exception and no value.
        let status = unsafe { sys::napi_get_property(self.env, object.0, key.0, &mut value) };
        (status == sys::Status::napi_ok).then_some(Value(value))
    }

    /// A property of the object itself, not of its prototypes.
    pub(super) fn get_own(self, object: Value, name: &str) -> Option<Value> {
        let (key, mut is_own) = (self.string(name), false);
        // SAFETY: as in `undefined`; the result is a local.
        unsafe { sys::napi_has_own_property(self.env, object.0, key.0, &mut is_own) };
        if is_own { self.get(object, key) } else { None }
    }

    /// The names of an object's own enumerable properties, symbols left out.
    pub(super) fn own_names(self, object: Value) -> Vec<Value> {
        let mut names = ptr::null_mut();
        // SAFETY: as in `undefined`; the result is a local.
        let listed = unsafe {
            sys::napi_get_all_property_names(
                self.env,
                object.0,
                sys::KeyCollectionMode::own_only,
                sys::KeyFilter::enumerable | sys::KeyFilter::skip_symbols,
                sys::KeyConversion::numbers_to_strings,
                &mut names,
            ) == sys::Status::napi_ok
        };
        if listed { self.elements(Value(names)) } else { Vec::new() }
    }

    /// An array's elements.
    pub(super) fn elements(self, array: Value) -> Vec<Value> {
        let mut length = 0;
        // SAFETY: as in `undefined`; anything but an array leaves the length 0.
        unsafe { sys::napi_get_array_length(self.env, array.0, &mut length) };
        (0..length)
            // SAFETY: as in `undefined`; the index is within the array.
            .map(|index| self.value(|out| unsafe { sys::napi_get_element(self.env, array.0, index, out) }))
            .collect()
    }

    /// An array of strings.
    pub(super) fn strings<'a>(self, texts: impl ExactSizeIterator<Item = &'a str>) -> Value {
        self.array(texts.map(|text| self.string(text)))
    }

    /// An array.
    pub(super) fn array(self, values: impl ExactSizeIterator<Item = Value>) -> Value {
        // SAFETY: as in `undefined`.
        let array = self.value(|out| unsafe { sys::napi_create_array_with_length(self.env, values.len(), out) });
        for (index, value) in (0..).zip(values) {
            // SAFETY: as in `undefined`.
            unsafe { sys::napi_set_element(self.env, array.0, index, value.0) };
        }
        array
    }

    /// A Buffer that holds a copy of these parts, one after the other.
    pub(super) fn buffer(self, parts: &[&[u8]]) -> Value {
        let (bytes, mut data) = (parts.concat(), ptr::null_mut());
        // SAFETY: as in `undefined`; Node copies `bytes.len()` bytes before it returns, and where they went is not asked.
        self.value(|out| unsafe {
            sys::napi_create_buffer_copy(self.env, bytes.len(), bytes.as_ptr().cast(), &mut data, out)
        })
    }

    /// The bytes of a Buffer or of another view, copied.
    pub(super) fn bytes(self, value: Value) -> Option<Vec<u8>> {
        let (mut is_buffer, mut data, mut length) = (false, ptr::null_mut(), 0);
        // SAFETY: as in `undefined`.
        unsafe { sys::napi_is_buffer(self.env, value.0, &mut is_buffer) };
        if !is_buffer {
            return None;
        }
        // SAFETY: as in `undefined`.
        let status = unsafe { sys::napi_get_buffer_info(self.env, value.0, &mut data, &mut length) };
        if status != sys::Status::napi_ok || data.is_null() {
            return (status == sys::Status::napi_ok).then(Vec::new);
        }
        // SAFETY: Node says that so many bytes are there, and no JavaScript runs that could take them away meanwhile.
        Some(unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) }.to_vec())
    }

    /// A bigint, as far as it fits.
    pub(super) fn whole(self, value: Value) -> Option<i64> {
        let (mut number, mut is_exact) = (0, false);
        // SAFETY: as in `undefined`.
        let status = unsafe { sys::napi_get_value_bigint_int64(self.env, value.0, &mut number, &mut is_exact) };
        (status == sys::Status::napi_ok && is_exact).then_some(number)
    }

    pub(super) fn truth(self, value: Value) -> bool {
        let mut truth = false;
        // SAFETY: as in `undefined`.
        unsafe { sys::napi_get_value_bool(self.env, value.0, &mut truth) };
        truth
    }

    pub(super) fn kind(self, value: Value) -> Kind {
        let mut kind = -1;
        // SAFETY: as in `undefined`.
        unsafe { sys::napi_typeof(self.env, value.0, &mut kind) };
        match kind {
            sys::ValueType::napi_undefined => Kind::Undefined,
            sys::ValueType::napi_null => Kind::Null,
            sys::ValueType::napi_boolean => Kind::Boolean,
            sys::ValueType::napi_number => Kind::Number,
            sys::ValueType::napi_string => Kind::String,
            sys::ValueType::napi_symbol => Kind::Symbol,
            sys::ValueType::napi_bigint => Kind::BigInt,
            sys::ValueType::napi_object => Kind::Object,
            sys::ValueType::napi_function => Kind::Function,
            _ => Kind::Other,
        }
    }

    pub(super) fn is_array(self, value: Value) -> bool {
        let mut is = false;
        // SAFETY: as in `undefined`.
        unsafe { sys::napi_is_array(self.env, value.0, &mut is) };
        is
    }

    pub(super) fn number(self, value: Value) -> Option<f64> {
        let mut number = 0.0;
        // SAFETY: as in `undefined`.
        let status = unsafe { sys::napi_get_value_double(self.env, value.0, &mut number) };
        (status == sys::Status::napi_ok).then_some(number)
    }

    /// Copies a string's UTF-16 units into `buffer` as far as they fit beside a NUL, and answers them. `None` for anything but
    /// a string.
    #[inline]
    pub(super) fn utf16_into(self, value: Value, buffer: &mut [MaybeUninit<u16>]) -> Option<&[u16]> {
        let mut length = 0;
        // SAFETY: as in `undefined`; Node writes at most `buffer.len()` units and answers how many, without the NUL.
        unsafe {
            let status = sys::napi_get_value_string_utf16(
                self.env,
                value.0,
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                &mut length,
            );
            (status == sys::Status::napi_ok).then(|| std::slice::from_raw_parts(buffer.as_ptr().cast(), length))
        }
    }

    /// A string's UTF-16 units.
    pub(super) fn utf16(self, value: Value) -> Option<Vec<u16>> {
        let mut length = 0;
        // SAFETY: as in `undefined`; without a buffer Node answers the length.
        let status = unsafe { sys::napi_get_value_string_utf16(self.env, value.0, ptr::null_mut(), 0, &mut length) };
        if status != sys::Status::napi_ok {
            return None;
        }
        let mut units = vec![0u16; length + 1];
        // SAFETY: as above, with room for all units and a NUL.
        unsafe {
            sys::napi_get_value_string_utf16(self.env, value.0, units.as_mut_ptr(), units.len(), &mut length);
        }
        units.truncate(length);
        Some(units)
    }

    /// The arguments of the running call, absent ones as `undefined`; how many were given; and the data of its function.
    #[inline]
    pub(super) fn arguments<const N: usize>(self, info: sys::napi_callback_info) -> ([Value; N], usize, *mut c_void) {
        let (mut values, mut count, mut data) = ([ptr::null_mut(); N], N, ptr::null_mut());
        // SAFETY: `info` belongs to the running call; Node fills all N values.
        unsafe {
            sys::napi_get_cb_info(self.env, info, &mut count, values.as_mut_ptr(), ptr::null_mut(), &mut data);
        }
        (values.map(Value), count, data)
    }

    /// Where a Float64Array's numbers are, and how many.
    pub(super) fn doubles(self, array: Value) -> Option<(*mut f64, usize)> {
        let (mut kind, mut length, mut data) = (0, 0, ptr::null_mut());
        // SAFETY: as in `undefined`; results that are not wanted may be null.
        let status = unsafe {
            sys::napi_get_typedarray_info(
                self.env,
                array.0,
                &mut kind,
                &mut length,
                &mut data,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        let doubles = status == sys::Status::napi_ok && kind == sys::TypedarrayType::float64_array;
        doubles.then_some((data.cast(), length))
    }

    /// A fresh promise and its other end.
    #[inline]
    pub(super) fn promise(self) -> Option<(Deferred, Value)> {
        let (mut deferred, mut promise) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: as in `undefined`.
        let status = unsafe { sys::napi_create_promise(self.env, &mut deferred, &mut promise) };
        (status == sys::Status::napi_ok).then_some((Deferred(deferred), Value(promise)))
    }

    /// Fulfils the promise. A deferred is settled once: callers take it out of the slab first.
    #[inline]
    pub(super) fn resolve(self, deferred: Deferred, value: Value) {
        // SAFETY: as in `undefined`; `deferred` has not been settled, by this method's contract.
        unsafe { sys::napi_resolve_deferred(self.env, deferred.0, value.0) };
    }

    /// Rejects the promise, under the same contract.
    pub(super) fn reject(self, deferred: Deferred, value: Value) {
        // SAFETY: as in `resolve`.
        unsafe { sys::napi_reject_deferred(self.env, deferred.0, value.0) };
    }

    pub(super) fn keep(self, value: Value) -> Reference {
        let mut reference = ptr::null_mut();
        // SAFETY: as in `undefined`.
        unsafe { sys::napi_create_reference(self.env, value.0, 1, &mut reference) };
        Reference(reference)
    }

    pub(super) fn kept(self, reference: Reference) -> Value {
        // SAFETY: as in `undefined`; references are never deleted.
        self.value(|out| unsafe { sys::napi_get_reference_value(self.env, reference.0, out) })
    }

    /// Calls a function of `index.js`, none of which throws.
    pub(super) fn call(self, function: Value, arguments: &[Value]) -> Value {
        let this = self.undefined();
        // SAFETY: as in `undefined`; `Value` is a transparent handle, so the slice is an array of handles.
        self.value(|out| unsafe {
            sys::napi_call_function(self.env, this.0, function.0, arguments.len(), arguments.as_ptr().cast(), out)
        })
    }

    pub(super) fn throw(self, error: Value) {
        // SAFETY: as in `undefined`.
        unsafe { sys::napi_throw(self.env, error.0) };
    }

    pub(super) fn is_throwing(self) -> bool {
        let mut is = false;
        // SAFETY: as in `undefined`.
        unsafe { sys::napi_is_exception_pending(self.env, &mut is) };
        is
    }

    /// Runs `work`; the handles that it made are free afterwards.
    pub(super) fn scope<T>(self, work: impl FnOnce() -> T) -> T {
        let mut scope = ptr::null_mut();
        // SAFETY: as in `undefined`; the scope is closed below, in order.
        unsafe { sys::napi_open_handle_scope(self.env, &mut scope) };
        let result = work();
        // SAFETY: opened above, and whatever `work` opened it has closed.
        unsafe { sys::napi_close_handle_scope(self.env, scope) };
        result
    }

    /// The loop that runs this thread, where it is one of libuv.
    pub(super) fn event_loop(self) -> Option<*mut sys::uv_loop_s> {
        let mut event_loop = ptr::null_mut();
        // SAFETY: as in `undefined`; the result is a local.
        let status = unsafe { sys::napi_get_uv_event_loop(self.env, &mut event_loop) };
        (status == sys::Status::napi_ok && !event_loop.is_null()).then_some(event_loop)
    }

    /// What `process.versions` says of a component that may be there.
    pub(super) fn version_of(self, component: &str) -> Option<Value> {
        // SAFETY: as in `undefined`.
        let global = self.value(|out| unsafe { sys::napi_get_global(self.env, out) });
        let versions = self.get(self.get(global, self.string("process"))?, self.string("versions"))?;
        self.get(versions, self.string(component)).filter(|version| self.kind(*version) == Kind::String)
    }

    /// What callbacks run in that no call from JavaScript has begun.
    pub(super) fn async_context(self, name: &str) -> AsyncContext {
        let (name, mut context) = (self.string(name), ptr::null_mut());
        // SAFETY: as in `undefined`; without a resource Node makes one.
        unsafe { sys::napi_async_init(self.env, ptr::null_mut(), name.0, &mut context) };
        AsyncContext(context)
    }

    /// Nothing runs in it any more.
    pub(super) fn forget(self, AsyncContext(context): AsyncContext) {
        // SAFETY: it was made by `async_context`, and its owner lets go of it once.
        unsafe { sys::napi_async_destroy(self.env, context) };
    }

    /// Calls `hook` when the environment ends, which goes on when it is told to.
    pub(super) fn when_it_ends(
        self,
        hook: unsafe extern "C" fn(sys::napi_async_cleanup_hook_handle, *mut c_void),
        data: *mut c_void,
    ) {
        // SAFETY: as in `undefined`; without a result pointer the hook alone is handed the handle.
        unsafe { sys::napi_add_async_cleanup_hook(self.env, Some(hook), data, ptr::null_mut()) };
    }

    /// Runs `work` as Node runs a callback of its own: what it has resolved goes on afterwards, before this returns.
    pub(super) fn as_callback(self, AsyncContext(context): AsyncContext, work: impl FnOnce()) {
        self.scope(|| {
            let mut scope = ptr::null_mut();
            // SAFETY: on the JavaScript thread, in its context: Node runs its loop within one. The resource is the context's own.
            let opened = unsafe { sys::napi_open_callback_scope(self.env, ptr::null_mut(), context, &mut scope) };
            work();
            if self.is_throwing() {
                let mut error = ptr::null_mut();
                // SAFETY: as in `undefined`. Nobody is left whom it could be thrown to, so it is told as uncaught.
                unsafe {
                    sys::napi_get_and_clear_last_exception(self.env, &mut error);
                    sys::napi_fatal_exception(self.env, error);
                }
            }
            if opened == sys::Status::napi_ok {
                // SAFETY: opened above, and whatever `work` opened it has closed.
                unsafe { sys::napi_close_callback_scope(self.env, scope) };
            }
        });
    }
}

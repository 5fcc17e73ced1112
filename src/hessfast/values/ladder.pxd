# cython: language_level=3
"""Types for ladder.py, which is compiled as it stands: the step search spends its time there.

A name that is missing here keeps its Python meaning. Only those matter to speed that every rung or every round of
every axis touches.
"""
cimport cython


@cython.final
cdef class Axis:
    cdef public int index
    cdef public double x, size, unit, lower, upper, stair, farthest, rounded
    cdef public object noise
    cdef readonly object policy
    cdef public dict values
    cdef public Ladder ladder

    cpdef bint inside(self, double displacement)

    @cython.locals(known=double)
    cpdef double noise_at(self, double value, double slope)

    @cython.locals(x=double, f0=double, up=double, down=double)
    cpdef double second_difference(self, double h)

    cpdef int inward(self)
    cpdef list unknown(self, list displacements)


@cython.final
cdef class Rung:
    cdef readonly int k
    cdef readonly object step  # C's powers of it would not raise where they overflow
    cdef readonly double curvature, slope, value, largest, condition, truncation, error, doubt, jump
    cdef readonly bint moved
    cdef readonly Rung above, below


@cython.final
cdef class Ladder:
    cdef readonly Axis axis
    cdef readonly object formula, policy
    cdef readonly int derivative, side, power
    cdef readonly double weight, gain
    cdef readonly dict rungs
    cdef double _unit
    cdef bint _ranked
    cdef Rung _best, _top
    cdef tuple _caps

    cpdef double step(self, int k)

    @cython.locals(axis=Axis, x=double, h=double)
    cpdef bint fits(self, int k)

    @cython.locals(axis=Axis, rung=Rung, lower=Rung, upper=Rung, values=dict, x=double, f0=double, curvature=double,
                   slope=double, largest=double, displacement=double, value=double, difference=double, t=double,
                   c=double, s=double, moved=bint)
    cdef _add(self, int k, double h)

    @cython.locals(rung=Rung)
    cpdef forget_above(self, int k)

    @cython.locals(rung=Rung)
    cpdef reassess(self)

    cpdef disprove(self, Rung rung, double error)

    @cython.locals(factor=double, h=double, error=double)
    cpdef double condition_of(self, Rung rung, int derivative)

    @cython.locals(above=Rung, gain=double, even=double, odd=double)
    cpdef double truncation_of(self, Rung rung, int derivative)

    cpdef bint hidden(self, Rung rung, double deviations)

    @cython.locals(worst=double, visible=double, above=Rung, below=Rung)
    cpdef double truncation_at_least(self, Rung rung)

    cpdef Rung best(self)
    cpdef Rung top(self)

    @cython.locals(rung=Rung, short=Rung, grown=double, truncation=double)
    cdef _rank(self)

    @cython.locals(rung=Rung, jump=double)
    cdef _find_kink(self)

    @cython.locals(above=Rung, nearest=Rung, other=Rung, jump=double, alike=double)
    cdef double _over_kink(self, Rung rung, double known)

    @cython.locals(rung=Rung, best=Rung, reach=double)
    cpdef double stair(self)

    @cython.locals(truncation=double, condition=double, excess=double, leap=double)
    cdef _too_long(self, Rung rung)

    cdef _cap(self, Rung rung)
    cdef bint _bends(self, Rung rung)
    cdef bint _held(self, int k)

    @cython.locals(rung=Rung)
    cpdef bint has_few_digits(self)

    cpdef bint shows(self, double deviations)

    @cython.locals(rung=Rung, k=int, condition=double, value=double, wanted=double, visible=double)
    cpdef may_rise(self)

    @cython.locals(rung=Rung, low=Rung)
    cpdef bint regular(self)

    @cython.locals(expected=double, doubt=double)
    cdef bint _grows(self, Rung low)

    @cython.locals(rung=Rung, quadratic=double)
    cpdef tuple change(self)

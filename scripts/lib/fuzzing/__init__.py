# SPDX-License-Identifier: Apache-2.0
"""What scripts/fuzz is made of."""

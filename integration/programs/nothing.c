// SPDX-License-Identifier: Apache-2.0
// nothing: the cheapest that a hook or an executed program can be.

int main(void)
{
	return 0;
}

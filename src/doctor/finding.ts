/** One thing the doctor looked at. */
export interface Finding {
  subject: string;
  /** `problem`: dynamo or a part of it cannot work; `warning`: it will not work well; `note`: nothing is wrong. */
  status: 'ok' | 'note' | 'warning' | 'problem';
  detail: string;
  fix: string | null;
}

export const ok = (subject: string, detail: string): Finding => ({ subject, status: 'ok', detail, fix: null });
export const note = (subject: string, detail: string, fix: string | null = null): Finding => ({
  subject,
  status: 'note',
  detail,
  fix,
});
export const warning = (subject: string, detail: string, fix: string): Finding => ({
  subject,
  status: 'warning',
  detail,
  fix,
});
export const problem = (subject: string, detail: string, fix: string): Finding => ({
  subject,
  status: 'problem',
  detail,
  fix,
});

import { checkTemplateData, type MessageTemplate } from '@app/wechat';

import type { FieldError } from '../../common/app-error.js';

/** Holds values against the template's fields. @param template null where the account has none of that id */
export function checkData(
  template: MessageTemplate | null,
  data: Readonly<Record<string, string>>,
): FieldError[] {
  if (!template) return [UNKNOWN_TEMPLATE];
  return checkTemplateData(template.fields, data).map((problem) => ({
    ...problem,
    field: `content.data.${problem.field}`,
  }));
}

const UNKNOWN_TEMPLATE: FieldError = {
  field: 'content.templateId',
  code: 'template_unknown',
  detail: {
    zh: '账号没有该模板，请从 GET …/templates 中选择；刚添加的模板可加 refresh=true 刷新。',
    en: 'The account has no such template. Choose one of GET …/templates; `refresh=true` finds one that was added just now.',
  },
};

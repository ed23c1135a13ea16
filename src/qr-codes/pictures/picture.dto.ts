import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Transform, Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  ArrayUnique,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsOptional,
  Length,
  Max,
  Min,
} from 'class-validator';

import { PICTURE_FORMATS, type PictureFormat } from './drawing.js';

const MAX_PACKED = 200;
const USUAL_SIZE = 430;

class LookDto {
  @ApiPropertyOptional({ enum: PICTURE_FORMATS, default: 'png' })
  @IsOptional()
  @IsIn(PICTURE_FORMATS)
  format: PictureFormat = 'png';

  @ApiPropertyOptional({
    description:
      '二维码边长，像素；文字说明在其下方另加高度 / The side of the code in pixels; a caption comes below it',
    minimum: 100,
    maximum: 2000,
    default: USUAL_SIZE,
  })
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(100)
  @Max(2000)
  size: number = USUAL_SIZE;

  @ApiPropertyOptional({
    description:
      '中间的标志：本账号图片素材的 mediaId；小程序码中间已有头像，不加 / In the middle: the `mediaId` of an image of the account. A mini-program’s code has its own picture there',
  })
  @IsOptional()
  @Length(1, 36)
  logo?: string;
}

export class PictureQueryDto extends LookDto {
  @ApiPropertyOptional({
    description:
      '下方的文字，在空格处或汉字之间换行；放不下则缩小字号，仍放不下以 … 结尾。字体中没有的字符（如表情符号）略去 / Below it. Lines end at spaces and between Chinese characters. Letters shrink until all fits; what does not fit even then ends with `…`. What the font lacks, such as emoji, is left out',
    maxLength: 60,
  })
  @IsOptional()
  @Length(1, 60)
  caption?: string;
}

export class PackQueryDto extends LookDto {
  @ApiProperty({
    type: String,
    description: `以逗号分隔的二维码编号，最多 ${MAX_PACKED} 个 / Ids with commas between them, ${MAX_PACKED} at the most`,
  })
  @Transform(({ value }: { value: unknown }) =>
    typeof value === 'string' ? value.split(',').filter((id) => id !== '') : value,
  )
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(MAX_PACKED)
  @ArrayUnique()
  @Length(1, 36, { each: true })
  ids: string[];

  @ApiPropertyOptional({
    description: '在每张图下方写上名称，同 caption / Each bears its name, drawn like a `caption`',
    default: false,
  })
  @IsOptional()
  @Transform(({ value }: { value: unknown }) =>
    value === 'true' ? true : value === 'false' ? false : value,
  )
  @IsBoolean()
  captions: boolean = false;
}
